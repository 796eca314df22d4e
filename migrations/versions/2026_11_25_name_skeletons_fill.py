"""Fills in the skeletons of existing users. If names look alike, the first user who can log in gets the skeleton.

The others keep their names and log in as before. Each batch commits, so log-ins wait only for one batch, and a killed
migration continues where it stopped.
"""

from alembic import op
from sqlalchemy import text

from app.models.people.username import skeleton_of

revision = "2026_11_25_name_skeletons_fill"
down_revision = "2026_11_25_name_skeletons"
branch_labels = None
depends_on = None

BATCH_SIZE = 5_000
ALL = text("SELECT id, username, username_skeleton FROM users ORDER BY password_hash IS NULL, id")
FILL = text("""
    UPDATE users AS u SET username_skeleton = filled.skeleton
      FROM unnest(CAST(:ids AS bigint[]), CAST(:skeletons AS text[])) AS filled (id, skeleton)
     WHERE u.id = filled.id AND u.username_skeleton IS NULL
""")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        users = connection.execute(ALL).all()
        taken = {user.username_skeleton for user in users}
        missing: list[tuple[int, str]] = []
        for user in users:
            skeleton = skeleton_of(user.username)
            if user.username_skeleton is None and skeleton not in taken:
                taken.add(skeleton)
                missing.append((user.id, skeleton))
        for start in range(0, len(missing), BATCH_SIZE):
            ids, skeletons = zip(*missing[start : start + BATCH_SIZE], strict=True)
            connection.execute(FILL, {"ids": [*ids], "skeletons": [*skeletons]})


def downgrade() -> None:
    """The previous revision drops the column."""
