"""Tasks that were restored below a deleted one stand by themselves. The history keeps their parents.

It may be run again.
"""

from alembic import op

revision = "2026_11_28_free_restored"
down_revision = "2026_11_28_trees_of_deleted"
branch_labels = None
depends_on = None

FREE = """
UPDATE tasks SET parent_id = NULL, version = version + 1
 WHERE deleted_at IS NULL
   AND parent_id IS NOT NULL
   AND EXISTS (SELECT FROM tasks AS parent WHERE parent.id = tasks.parent_id AND parent.deleted_at IS NOT NULL)
"""


def upgrade() -> None:
    # Tasks of archived projects are read-only for everybody else.
    op.execute("SET LOCAL tasktracker.writes_archived_projects = 'on'")
    op.execute(FREE)


def downgrade() -> None:
    """The tasks stay as they are."""
