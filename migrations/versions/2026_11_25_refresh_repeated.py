"""Sessions store the previous refresh token: sending it twice within seconds gets the same answer."""

from alembic import op

revision = "2026_11_25_refresh_repeated"
down_revision = "2026_11_25_login_waits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE sessions ADD previous_refresh_id uuid, ADD refreshed_at timestamptz")


def downgrade() -> None:
    op.execute("ALTER TABLE sessions DROP previous_refresh_id, DROP refreshed_at")
