"""The row of a sheet that an import block begins with."""

from alembic import op

revision = "2026_11_27_block_sheet_rows"
down_revision = "2026_11_27_import_mappings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE import_blocks ADD first_sheet_row bigint")


def downgrade() -> None:
    op.execute("ALTER TABLE import_blocks DROP first_sheet_row")
