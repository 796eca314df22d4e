"""A merge of users moves their comments, mentions and follows. A revision of its own locks only the table of users."""

from alembic import op

revision = "2026_11_28_merged_comments"
down_revision = "2026_11_28_task_followers"
branch_labels = None
depends_on = None

UPGRADE = """
-- Gives what a merged user has written and follows to the person. The merge has moved the tasks before, so what the
-- person follows as the assignee or the creator needs no row.
CREATE FUNCTION move_comments_of_merged_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE comments SET author_id = NEW.merged_into_id WHERE author_id = NEW.id;
    INSERT INTO comment_mentions (comment_id, version, user_id)
    SELECT comment_id, version, NEW.merged_into_id FROM comment_mentions WHERE user_id = NEW.id
        ON CONFLICT DO NOTHING;
    DELETE FROM comment_mentions WHERE user_id = NEW.id;
    INSERT INTO task_followers (task_id, user_id, is_following, since, reason)
    SELECT f.task_id, NEW.merged_into_id, f.is_following, f.since, f.reason
      FROM task_followers AS f JOIN tasks AS t ON t.id = f.task_id
     WHERE f.user_id = NEW.id AND t.creator_id <> NEW.merged_into_id
       AND t.assignee_id IS DISTINCT FROM NEW.merged_into_id
        ON CONFLICT DO NOTHING;
    DELETE FROM task_followers WHERE user_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER move_comments_of_merged_user AFTER UPDATE OF merged_into_id ON users FOR EACH ROW
    WHEN (OLD.merged_into_id IS NULL AND NEW.merged_into_id IS NOT NULL)
    EXECUTE FUNCTION move_comments_of_merged_user();
"""

DOWNGRADE = """
DROP TRIGGER move_comments_of_merged_user ON users;
DROP FUNCTION move_comments_of_merged_user;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
