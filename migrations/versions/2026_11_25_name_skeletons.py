"""Skeletons of usernames, so that nobody can take a name that looks like another one."""

from alembic import op

revision = "2026_11_25_name_skeletons"
down_revision = "2026_11_25_refresh_repeated"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD username_skeleton text")


def downgrade() -> None:
    op.execute("ALTER TABLE users DROP username_skeleton")
