"""The foreign key from a saved view to the project whose members see it."""

from alembic import op

revision = "2026_11_28_views_of_projects"
down_revision = "2026_11_28_saved_views"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE saved_views
            ADD CONSTRAINT fk_saved_views_project_id_projects
                FOREIGN KEY (project_id) REFERENCES projects ON DELETE CASCADE
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE saved_views DROP CONSTRAINT fk_saved_views_project_id_projects")
