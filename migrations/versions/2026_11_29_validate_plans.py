"""The constraints of a task's plan hold for the tasks from before, too. Meanwhile, tasks can be written."""

from alembic import op

revision = "2026_11_29_validate_plans"
down_revision = "2026_11_29_import_kind"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT fk_tasks_parent_id")
    op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT ck_tasks_estimate_range")


def downgrade() -> None:
    """Valid constraints are in nobody's way."""
