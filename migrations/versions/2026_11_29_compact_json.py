"""JSON is printed without blanks. PostgreSQL prints a `jsonb` with one after each colon and comma."""

from alembic import op

revision = "2026_11_29_compact_json"
down_revision = "2026_11_29_member_events"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE FUNCTION compact_json(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE jsonb_typeof(value)
           WHEN 'object' THEN
                '{' || coalesce((SELECT string_agg(to_json(each.key)::text || ':' || compact_json(each.value), ',')
                                   FROM jsonb_each(value) AS each), '') || '}'
           WHEN 'array' THEN
                '[' || coalesce((SELECT string_agg(compact_json(each.value), ',' ORDER BY each.place)
                                   FROM jsonb_array_elements(value) WITH ORDINALITY AS each (value, place)), '') || ']'
           ELSE value::text END
$$;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP FUNCTION compact_json")
