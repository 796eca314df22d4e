"""The versions of users, for their ETags. The release before leaves them as they are when it writes."""

from alembic import op

revision = "2026_11_26_user_versions"
down_revision = "2026_11_26_api_tokens"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD version bigint NOT NULL DEFAULT 1")


def downgrade() -> None:
    op.execute("ALTER TABLE users DROP version")
