"""An index that finds tasks by their external reference in all projects.

It replaces the one that needs the project first. The release before this one looks for the reference within a project,
which the new index serves as well.
"""

from migrations.concurrently import build_index, drop_index

revision = "2026_11_26_external_ref"
down_revision = "2026_11_26_title_index"
branch_labels = None
depends_on = None

NEW, OLD = "ix_tasks_external_ref", "ix_tasks_project_id_external_ref"
PRESENT = "WHERE external_ref IS NOT NULL"


def upgrade() -> None:
    build_index(NEW, f"tasks (external_ref, project_id) {PRESENT}")
    drop_index(OLD)


def downgrade() -> None:
    build_index(OLD, f"tasks (project_id, external_ref) {PRESENT}")
    drop_index(NEW)
