"""Indexes that imports use to find the tasks of their rows."""

from alembic import op

from migrations.concurrently import build_index

revision = "2026_11_21_import_indexes"
down_revision = "2026_11_21_imports_in_pieces"
branch_labels = None
depends_on = None

CONTENT_KEY = "hashtextextended((title || ' ') || description, 0)"


def upgrade() -> None:
    build_index("ix_tasks_project_id_external_ref", "tasks (project_id, external_ref) WHERE external_ref IS NOT NULL")
    build_index("ix_tasks_project_id_content", f"tasks (project_id, {CONTENT_KEY}) WHERE deleted_at IS NULL")


def downgrade() -> None:
    op.execute("DROP INDEX ix_tasks_project_id_content, ix_tasks_project_id_external_ref")
