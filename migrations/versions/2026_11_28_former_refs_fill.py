"""The former refs of tasks that have moved already, from the history. It may be run again."""

from alembic import op

revision = "2026_11_28_former_refs_fill"
down_revision = "2026_11_28_former_refs"
branch_labels = None
depends_on = None

FILL = """
INSERT INTO former_refs (project_id, number, task_id)
SELECT DISTINCT version.project_id, version.number, task.id
  FROM task_history AS version
  JOIN tasks AS task ON task.id = version.task_id
 WHERE (version.project_id, version.number) <> (task.project_id, task.number)
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    op.execute(FILL)


def downgrade() -> None:
    """The previous revision drops the table."""
