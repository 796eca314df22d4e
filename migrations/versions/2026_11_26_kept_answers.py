"""A table of answers to requests with an idempotency key."""

from alembic import op

revision = "2026_11_26_kept_answers"
down_revision = "2026_11_26_list_indexes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE kept_answers (
            user_id bigint NOT NULL CONSTRAINT fk_kept_answers_user_id_users REFERENCES users ON DELETE CASCADE,
            key text NOT NULL,
            fingerprint bytea NOT NULL,
            status smallint NOT NULL,
            headers jsonb NOT NULL,
            body bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_kept_answers PRIMARY KEY (user_id, key)
        )
    """)
    op.execute("CREATE INDEX ix_kept_answers_created_at ON kept_answers (created_at)")


def downgrade() -> None:
    op.execute("DROP TABLE kept_answers")
