"""The unique index on skeletons, built concurrently. A build that was cut off is repeated."""

from alembic import op

revision = "2026_11_25_name_skeletons_uniq"
down_revision = "2026_11_25_name_skeletons_fill"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_users_username_skeleton")
        op.execute("CREATE UNIQUE INDEX CONCURRENTLY uq_users_username_skeleton ON users (username_skeleton)")


def downgrade() -> None:
    op.execute("DROP INDEX uq_users_username_skeleton")
