"""The versions of projects, for their ETags. A revision of its own locks only one table that requests read."""

from alembic import op

revision = "2026_11_26_project_versions"
down_revision = "2026_11_26_user_versions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE projects ADD version bigint NOT NULL DEFAULT 1")


def downgrade() -> None:
    op.execute("ALTER TABLE projects DROP version")
