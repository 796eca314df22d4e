"""API tokens, and service accounts: active users without a password, who use the API by tokens alone."""

from alembic import op

revision = "2026_11_26_api_tokens"
down_revision = "2026_11_26_external_ref"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE users
    ADD is_service boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT ck_users_active_can_log_in,
    ADD CONSTRAINT ck_users_active_can_act CHECK (NOT is_active OR password_hash IS NOT NULL OR is_service),
    ADD CONSTRAINT ck_users_service_cannot_log_in CHECK (NOT is_service OR password_hash IS NULL AND email IS NULL);

CREATE TABLE api_tokens (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_api_tokens PRIMARY KEY,
    owner_id bigint NOT NULL CONSTRAINT fk_api_tokens_owner_id REFERENCES users (id) ON DELETE CASCADE,
    name text NOT NULL CONSTRAINT ck_api_tokens_name_length CHECK (char_length(name) BETWEEN 1 AND 100),
    digest bytea NOT NULL CONSTRAINT ck_api_tokens_digest_length CHECK (octet_length(digest) = 32),
    scopes text[] NOT NULL CONSTRAINT ck_api_tokens_has_scopes CHECK (cardinality(scopes) > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE UNIQUE INDEX uq_api_tokens_digest ON api_tokens (digest);
CREATE INDEX ix_api_tokens_owner_id ON api_tokens (owner_id);
"""

# Service accounts become users whom nobody can log in as, like those that an import creates.
DOWNGRADE = """
DROP TABLE api_tokens;
UPDATE users SET is_active = false WHERE is_service;
ALTER TABLE users
    DROP CONSTRAINT ck_users_service_cannot_log_in,
    DROP CONSTRAINT ck_users_active_can_act,
    ADD CONSTRAINT ck_users_active_can_log_in CHECK (NOT is_active OR password_hash IS NOT NULL),
    DROP is_service;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
