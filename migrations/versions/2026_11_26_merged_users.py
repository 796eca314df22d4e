"""Merged users: made-up users whose tasks and projects a real user has taken over."""

from alembic import op

revision = "2026_11_26_merged_users"
down_revision = "2026_11_26_password_resets"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE users
    ADD merged_into_id bigint CONSTRAINT fk_users_merged_into_id REFERENCES users (id),
    ADD CONSTRAINT ck_users_merged_cannot_log_in
        CHECK (merged_into_id IS NULL OR NOT is_active AND password_hash IS NULL AND NOT is_service
               AND merged_into_id <> id);
"""

DOWNGRADE = """
ALTER TABLE users DROP CONSTRAINT ck_users_merged_cannot_log_in, DROP merged_into_id;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
