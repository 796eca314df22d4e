"""A table of password resets, which are used once."""

from alembic import op

revision = "2026_11_26_password_resets"
down_revision = "2026_11_26_project_versions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE password_resets (
            user_id bigint CONSTRAINT pk_password_resets PRIMARY KEY
                CONSTRAINT fk_password_resets_user_id_users REFERENCES users ON DELETE CASCADE,
            digest bytea NOT NULL CONSTRAINT ck_password_resets_digest_length CHECK (octet_length(digest) = 32),
            replaced_hash_digest bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE UNIQUE INDEX uq_password_resets_digest ON password_resets (digest)")


def downgrade() -> None:
    op.execute("DROP TABLE password_resets")
