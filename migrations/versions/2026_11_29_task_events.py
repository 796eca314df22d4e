"""Each new version of a task is an event. The next revisions do the same for what makes no version."""

from alembic import op

revision = "2026_11_29_task_events"
down_revision = "2026_11_29_events"
branch_labels = None
depends_on = None

UPGRADE = """
-- A statement that writes more than 100 versions makes one event for each project instead. If it has changed tasks,
-- they may have left projects, so its one event is for everybody and says nothing about them.
CREATE FUNCTION announce_task_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM written LIMIT 101) AS few) <= 100 THEN
        INSERT INTO event_outbox (kind, project_id, task_id, revision, actor_id, request_id, occurred_at)
        SELECT CASE revision WHEN 1 THEN 'task.created' ELSE 'task.changed' END, project_id, task_id, revision,
               actor_id, request_id, valid_from
          FROM written ORDER BY task_id;
    ELSE
        INSERT INTO event_outbox (kind, project_id, actor_id, request_id, occurred_at, detail)
        SELECT 'tasks.created', project_id, min(actor_id), min(request_id), max(valid_from),
               jsonb_build_object('count', count(*), 'first', min(task_id), 'last', max(task_id))
          FROM written WHERE revision = 1 GROUP BY project_id;
        INSERT INTO event_outbox (kind, actor_id, request_id, occurred_at, detail)
        SELECT 'tasks.changed', min(actor_id), min(request_id), max(valid_from), jsonb_build_object('count', count(*))
          FROM written WHERE revision > 1 HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER announce_task_versions AFTER INSERT ON task_history REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION announce_task_versions();
"""

DOWNGRADE = """
DROP TRIGGER announce_task_versions ON task_history;
DROP FUNCTION announce_task_versions;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
