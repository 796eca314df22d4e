"""What imports know of a file: its date format, its own words and how it was written."""

from alembic import op

revision = "2026_11_27_import_options"
down_revision = "2026_11_27_error_sheet_rows"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TYPE date_format AS ENUM ('us', 'day_first', 'year_first', 'iso', 'jira', 'month_name');
ALTER TABLE imports
    ADD date_format date_format,
    ADD column_map jsonb NOT NULL DEFAULT '{}',
    ADD status_map jsonb NOT NULL DEFAULT '{}',
    ADD priority_map jsonb NOT NULL DEFAULT '{}',
    ADD people_map jsonb NOT NULL DEFAULT '{}',
    ADD codec text NOT NULL DEFAULT 'utf-8',
    ADD has_bom boolean NOT NULL DEFAULT false,
    ADD problem_groups jsonb NOT NULL DEFAULT '[]';
"""
DOWNGRADE = """
ALTER TABLE imports
    DROP date_format, DROP column_map, DROP status_map, DROP priority_map, DROP people_map, DROP codec, DROP has_bom,
    DROP problem_groups;
DROP TYPE date_format;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
