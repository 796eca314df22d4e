"""Each version of a comment is an event."""

from alembic import op

revision = "2026_11_29_comment_events"
down_revision = "2026_11_29_moves_and_removals"
branch_labels = None
depends_on = None

UPGRADE = """
-- The revision of such an event is the comment's version, and its subject is the comment.
CREATE FUNCTION announce_comment_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM written LIMIT 101) AS few) <= 100 THEN
        INSERT INTO event_outbox (kind, project_id, task_id, revision, subject_id, actor_id, request_id, occurred_at)
        SELECT CASE w.version WHEN 1 THEN 'comment.created' ELSE 'comment.changed' END,
               (SELECT project_id FROM tasks WHERE id = w.task_id), w.task_id, w.version, w.comment_id,
               w.actor_id, w.request_id, w.valid_from
          FROM written AS w ORDER BY w.comment_id;
    ELSE
        INSERT INTO event_outbox (kind, project_id, actor_id, request_id, occurred_at, detail)
        SELECT 'comments.changed', t.project_id, min(w.actor_id), min(w.request_id), max(w.valid_from),
               jsonb_build_object('count', count(*))
          FROM written AS w JOIN tasks AS t ON t.id = w.task_id GROUP BY t.project_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER announce_comment_versions AFTER INSERT ON comment_versions REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION announce_comment_versions();
"""

DOWNGRADE = """
DROP TRIGGER announce_comment_versions ON comment_versions;
DROP FUNCTION announce_comment_versions;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
