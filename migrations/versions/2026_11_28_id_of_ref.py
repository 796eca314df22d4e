"""The task of a ref: the one that has it, or else the one that had it in another project. See docs/adr/032."""

from alembic import op

revision = "2026_11_28_id_of_ref"
down_revision = "2026_11_28_import_links"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE FUNCTION id_of_ref(ref text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT t.id FROM tasks AS t WHERE t.project_id = p.id AND t.number = split_part(ref, '-', 2)::bigint),
        (SELECT f.task_id FROM former_refs AS f
          WHERE f.project_id = p.id AND f.number = split_part(ref, '-', 2)::bigint))
      FROM projects AS p WHERE p.key = split_part(ref, '-', 1)
$$;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP FUNCTION id_of_ref")
