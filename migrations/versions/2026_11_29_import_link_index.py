"""Indexes of the rows' names without the rows that have no such name. Most files have one kind of names."""

from alembic import op

revision = "2026_11_29_import_link_index"
down_revision = "2026_11_29_new_task_trees"
branch_labels = None
depends_on = None

DROP = "DROP INDEX ix_import_links_ref, ix_import_links_external_ref, ix_import_links_level"


def upgrade() -> None:
    op.execute(DROP)
    op.execute("CREATE INDEX ix_import_links_ref ON import_links (import_id, ref, node) WHERE ref IS NOT NULL")
    op.execute(
        "CREATE INDEX ix_import_links_external_ref ON import_links (import_id, external_ref, node)"
        " WHERE external_ref IS NOT NULL"
    )
    op.execute(
        "CREATE INDEX ix_import_links_level ON import_links (import_id, level, row_number) WHERE level IS NOT NULL"
    )


def downgrade() -> None:
    op.execute(DROP)
    op.execute("CREATE INDEX ix_import_links_ref ON import_links (import_id, ref, node)")
    op.execute("CREATE INDEX ix_import_links_external_ref ON import_links (import_id, external_ref, node)")
    op.execute("CREATE INDEX ix_import_links_level ON import_links (import_id, level, row_number)")
