"""The row of a sheet that an import error is in."""

from alembic import op

revision = "2026_11_27_error_sheet_rows"
down_revision = "2026_11_27_block_sheet_rows"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE import_errors ADD sheet_row bigint")


def downgrade() -> None:
    op.execute("ALTER TABLE import_errors DROP sheet_row")
