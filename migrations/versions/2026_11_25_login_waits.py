"""The networks that users logged in from, and how long other networks must wait for their next attempt."""

from alembic import op

revision = "2026_11_25_login_waits"
down_revision = "2026_11_21_health"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE login_networks (
    user_id bigint NOT NULL CONSTRAINT fk_login_networks_user_id REFERENCES users (id) ON DELETE CASCADE,
    network text NOT NULL,
    last_used_at timestamptz NOT NULL,
    CONSTRAINT pk_login_networks PRIMARY KEY (user_id, network)
);
CREATE INDEX ix_login_networks_last_used_at ON login_networks (last_used_at);

CREATE TABLE login_waits (
    account text NOT NULL,
    network text NOT NULL,
    failures bigint NOT NULL DEFAULT 0,
    failed_at timestamptz,
    until timestamptz NOT NULL,
    CONSTRAINT pk_login_waits PRIMARY KEY (account, network)
);
CREATE INDEX ix_login_waits_until ON login_waits (until);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP TABLE login_waits, login_networks")
