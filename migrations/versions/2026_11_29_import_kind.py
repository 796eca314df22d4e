"""The kind of rows that an import has: tasks, or comments on tasks. See docs/adr/027."""

from alembic import op

revision = "2026_11_29_import_kind"
down_revision = "2026_11_29_import_link_index"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TYPE import_kind AS ENUM ('tasks', 'comments')")
    op.execute("ALTER TABLE imports ADD kind import_kind NOT NULL DEFAULT 'tasks'")


def downgrade() -> None:
    op.execute("ALTER TABLE imports DROP kind")
    op.execute("DROP TYPE import_kind")
