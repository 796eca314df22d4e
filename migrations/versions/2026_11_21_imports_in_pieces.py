"""Imports staged in blocks, with claims and options; external references of tasks.

The table of staged rows is dropped: no release ever filled it.
"""

from alembic import op
from sqlalchemy import inspect

revision = "2026_11_21_imports_in_pieces"
down_revision = "2026_11_21_import_checking"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TYPE import_mode AS ENUM ('skip_bad', 'all_or_nothing');
CREATE TYPE duplicate_policy AS ENUM ('create', 'skip', 'update');

ALTER TABLE tasks
    ADD external_ref text CONSTRAINT ck_tasks_external_ref_length CHECK (char_length(external_ref) BETWEEN 1 AND 255);

ALTER TABLE imports
    ADD mode import_mode NOT NULL DEFAULT 'skip_bad',
    ADD on_duplicate duplicate_policy NOT NULL DEFAULT 'create',
    ADD creates_users boolean NOT NULL DEFAULT true,
    ADD is_day_first boolean NOT NULL DEFAULT false,
    ADD delimiter text NOT NULL DEFAULT ',',
    ADD header text[] NOT NULL DEFAULT '{}',
    ADD ignored_columns text[] NOT NULL DEFAULT '{}',
    ADD updated_count bigint NOT NULL DEFAULT 0,
    ADD skipped_count bigint NOT NULL DEFAULT 0,
    ADD error_count bigint NOT NULL DEFAULT 0,
    ADD idempotency_key text,
    ADD content_hash bytea,
    ADD block_count bigint NOT NULL DEFAULT 0,
    ADD next_block bigint NOT NULL DEFAULT 0,
    ADD last_task_number bigint,
    ADD last_reserved_number bigint,
    ADD request_id text,
    ADD claim_number bigint NOT NULL DEFAULT 0,
    ADD claimed_until timestamptz,
    ADD failed_attempts bigint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX uq_imports_creator_id_idempotency_key ON imports (creator_id, idempotency_key);
CREATE INDEX ix_imports_claimed_until ON imports (claimed_until) WHERE finished_at IS NULL;
CREATE INDEX ix_imports_content_hash ON imports (content_hash) WHERE content_hash IS NOT NULL;

DROP TABLE import_rows;
CREATE TABLE import_blocks (
    import_id bigint NOT NULL CONSTRAINT fk_import_blocks_import_id REFERENCES imports (id) ON DELETE CASCADE,
    number bigint NOT NULL,
    first_row bigint NOT NULL,
    first_line bigint NOT NULL,
    body bytea NOT NULL,
    CONSTRAINT pk_import_blocks PRIMARY KEY (import_id, number)
);
CREATE TABLE import_drafts (
    import_id bigint NOT NULL CONSTRAINT fk_import_drafts_import_id REFERENCES imports (id) ON DELETE CASCADE,
    row_number bigint NOT NULL,
    task_id bigint,
    external_ref text,
    content uuid NOT NULL,
    created_on date NOT NULL,
    fingerprint uuid NOT NULL,
    CONSTRAINT pk_import_drafts PRIMARY KEY (import_id, row_number)
);
CREATE INDEX ix_import_drafts_import_id_task_id ON import_drafts (import_id, task_id);
CREATE INDEX ix_import_drafts_import_id_external_ref ON import_drafts (import_id, external_ref);
CREATE INDEX ix_import_drafts_import_id_content ON import_drafts (import_id, content);
ALTER TABLE import_errors ADD cells text[];
"""
DOWNGRADE = """
DROP TABLE import_drafts, import_blocks;
CREATE TABLE import_rows (
    import_id bigint NOT NULL CONSTRAINT fk_import_rows_import_id REFERENCES imports (id) ON DELETE CASCADE,
    row_number bigint NOT NULL,
    line_number bigint NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    status task_status NOT NULL,
    priority task_priority NOT NULL,
    created_at timestamptz,
    due_at timestamptz,
    labels text[] NOT NULL,
    assignee text,
    CONSTRAINT pk_import_rows PRIMARY KEY (import_id, row_number)
);
ALTER TABLE import_errors DROP cells;
ALTER TABLE tasks DROP external_ref;
ALTER TABLE imports
    DROP mode, DROP on_duplicate, DROP creates_users, DROP is_day_first, DROP delimiter, DROP header,
    DROP ignored_columns, DROP updated_count, DROP skipped_count, DROP error_count, DROP idempotency_key,
    DROP content_hash, DROP block_count, DROP next_block, DROP last_task_number, DROP last_reserved_number,
    DROP request_id, DROP claim_number, DROP claimed_until, DROP failed_attempts;
DROP TYPE duplicate_policy, import_mode;
"""


def upgrade() -> None:
    # An earlier release may have committed this and died before it recorded the revision. Then all tables exist.
    if not inspect(op.get_bind()).has_table("import_drafts"):
        op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
