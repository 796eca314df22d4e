"""An index for the columns of the board; see docs/adr/029."""

from migrations.concurrently import build_index, drop_index

revision = "2026_11_28_board_index"
down_revision = "2026_11_28_read_only_comments"
branch_labels = None
depends_on = None

NAME = "ix_tasks_project_id_status_position"


def upgrade() -> None:
    build_index(NAME, "tasks (project_id, status, position, id) WHERE deleted_at IS NULL")


def downgrade() -> None:
    drop_index(NAME)
