"""An index for the sort by title; see docs/adr/016."""

from migrations.concurrently import build_index, drop_index

revision = "2026_11_26_title_index"
down_revision = "2026_11_26_kept_answers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    build_index("ix_tasks_title", "tasks (title, id) WHERE deleted_at IS NULL")


def downgrade() -> None:
    drop_index("ix_tasks_title")
