"""Who follows a task, beside its creator and its assignee. See docs/adr/028."""

from alembic import op

revision = "2026_11_28_task_followers"
down_revision = "2026_11_28_comments_of_tasks"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TYPE follow_reason AS ENUM ('followed', 'commented', 'mentioned', 'was_assigned');
-- Without a foreign key to users: a change of an assignee would lock the user's row after that of the task, while a
-- merge holds it and waits for the task. Users are never removed.
CREATE TABLE task_followers (
    task_id bigint NOT NULL CONSTRAINT fk_task_followers_task_id REFERENCES tasks (id) ON DELETE CASCADE,
    user_id bigint NOT NULL,
    is_following boolean NOT NULL,
    since timestamptz NOT NULL DEFAULT record_now(),
    reason follow_reason NOT NULL DEFAULT 'followed',
    CONSTRAINT pk_task_followers PRIMARY KEY (task_id, user_id)
);
CREATE INDEX ix_task_followers_user_id ON task_followers (user_id);

-- A former assignee goes on following, unless they have left. Somebody who is assigned anew follows again.
CREATE FUNCTION follow_after_assignment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.assignee_id IS NOT NULL THEN
        INSERT INTO task_followers (task_id, user_id, is_following, reason)
        VALUES (OLD.id, OLD.assignee_id, true, 'was_assigned')
            ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM task_followers WHERE task_id = NEW.id AND user_id = NEW.assignee_id AND NOT is_following;
    RETURN NULL;
END $$;
CREATE TRIGGER follow_after_assignment AFTER UPDATE OF assignee_id ON tasks FOR EACH ROW
    WHEN (OLD.assignee_id IS DISTINCT FROM NEW.assignee_id) EXECUTE FUNCTION follow_after_assignment();

-- Whoever comments on a task follows it, even after leaving.
CREATE FUNCTION follow_after_comments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_followers (task_id, user_id, is_following, reason)
    SELECT DISTINCT task_id, author_id, true, 'commented'::follow_reason FROM written ORDER BY task_id, author_id
        ON CONFLICT (task_id, user_id) DO UPDATE SET is_following = true, since = EXCLUDED.since,
           reason = EXCLUDED.reason
     WHERE NOT task_followers.is_following;
    RETURN NULL;
END $$;
CREATE TRIGGER follow_after_comments AFTER INSERT ON comments REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION follow_after_comments();

-- So does whoever is mentioned. An edited comment that mentioned them before changes nothing.
CREATE FUNCTION follow_after_mentions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_followers (task_id, user_id, is_following, reason)
    SELECT DISTINCT c.task_id, w.user_id, true, 'mentioned'::follow_reason
      FROM written AS w JOIN comments AS c ON c.id = w.comment_id
     WHERE NOT EXISTS (SELECT FROM comment_mentions AS before
                        WHERE before.comment_id = w.comment_id AND before.version = w.version - 1
                          AND before.user_id = w.user_id)
     ORDER BY c.task_id, w.user_id
        ON CONFLICT (task_id, user_id) DO UPDATE SET is_following = true, since = EXCLUDED.since,
           reason = EXCLUDED.reason
     WHERE NOT task_followers.is_following;
    RETURN NULL;
END $$;
CREATE TRIGGER follow_after_mentions AFTER INSERT ON comment_mentions REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION follow_after_mentions();
"""

DOWNGRADE = """
DROP TRIGGER follow_after_mentions ON comment_mentions;
DROP TRIGGER follow_after_comments ON comments;
DROP TRIGGER follow_after_assignment ON tasks;
DROP FUNCTION follow_after_mentions, follow_after_comments, follow_after_assignment;
DROP TABLE task_followers;
DROP TYPE follow_reason;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
