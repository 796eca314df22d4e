"""The words of imports that a project keeps: its own columns, statuses, priorities and people."""

from alembic import op

revision = "2026_11_27_import_mappings"
down_revision = "2026_11_26_merged_users"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE import_mappings (
            project_id bigint CONSTRAINT pk_import_mappings PRIMARY KEY
                CONSTRAINT fk_import_mappings_project_id_projects REFERENCES projects ON DELETE CASCADE,
            column_map jsonb NOT NULL DEFAULT '{}',
            status_map jsonb NOT NULL DEFAULT '{}',
            priority_map jsonb NOT NULL DEFAULT '{}',
            people_map jsonb NOT NULL DEFAULT '{}',
            updated_at timestamptz,
            version bigint NOT NULL DEFAULT 0
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE import_mappings")
