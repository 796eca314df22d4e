"""The state `checking` of imports, in its own revision, since a transaction cannot use a label that it adds."""

from alembic import op

revision = "2026_11_21_import_checking"
down_revision = "2026_11_21_initial_schema"
branch_labels = None
depends_on = None

DOWNGRADE = """
-- A value cannot be removed from an enum, so the type is created anew without it.
UPDATE imports SET state = 'failed', finished_at = now() WHERE state = 'checking';
ALTER TYPE import_state RENAME TO import_state_with_checking;
CREATE TYPE import_state AS ENUM ('staging', 'loading', 'finished', 'failed');
ALTER TABLE imports ALTER state TYPE import_state USING state::text::import_state;
DROP TYPE import_state_with_checking;
"""


def upgrade() -> None:
    op.execute("ALTER TYPE import_state ADD VALUE IF NOT EXISTS 'checking' AFTER 'staging'")


def downgrade() -> None:
    op.execute(DOWNGRADE)
