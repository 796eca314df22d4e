"""The parents that the rows of a file name, and how far an import is with setting them.

The release before this one passes over the column of parents. Each row of the table is updated once or twice, so its
pages have room for that.
"""

from alembic import op

revision = "2026_11_28_import_links"
down_revision = "2026_11_28_board_index"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE import_links (
    import_id bigint NOT NULL CONSTRAINT fk_import_links_import_id_imports REFERENCES imports ON DELETE CASCADE,
    row_number bigint NOT NULL,
    node bigint,
    ref text,
    external_ref text,
    parent text,
    level bigint,
    may_decide boolean NOT NULL,
    is_counted boolean NOT NULL,
    parent_node bigint,
    problem text,
    CONSTRAINT pk_import_links PRIMARY KEY (import_id, row_number)
) WITH (fillfactor = 70);
CREATE INDEX ix_import_links_ref ON import_links (import_id, ref, node);
CREATE INDEX ix_import_links_external_ref ON import_links (import_id, external_ref, node);
CREATE INDEX ix_import_links_level ON import_links (import_id, level, row_number);
CREATE INDEX ix_import_links_node ON import_links (import_id, node, row_number);
ALTER TABLE imports ADD next_link_step bigint NOT NULL DEFAULT 0;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("ALTER TABLE imports DROP next_link_step")
    op.execute("DROP TABLE import_links")
