"""Moves on the board, which make no version of a task, and tasks that are removed for good are events too."""

from alembic import op

revision = "2026_11_29_moves_and_removals"
down_revision = "2026_11_29_task_events"
branch_labels = None
depends_on = None

UPGRADE = """
-- The two transition tables are joined only if they are small: the plan of the first call is kept, and for many rows it
-- would take minutes. That many tasks have moved is recognised by a sum over their positions.
CREATE FUNCTION announce_task_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM written LIMIT 101) AS few) <= 100 THEN
        INSERT INTO event_outbox (kind, project_id, task_id, revision, actor_id, request_id, detail)
        SELECT 'task.moved', w.project_id, w.id, w.revision, acting_user_id(), acting_request_id(),
               jsonb_build_object('version', w.version)
          FROM written AS w JOIN replaced AS r ON r.id = w.id
         WHERE r.position <> w.position AND r.revision = w.revision
         ORDER BY w.id;
    ELSIF (SELECT sum(hashfloat8extended(position, id)::numeric) FROM written)
       <> (SELECT sum(hashfloat8extended(position, id)::numeric) FROM replaced) THEN
        INSERT INTO event_outbox (kind, project_id, actor_id, request_id, detail)
        SELECT 'tasks.moved', project_id, acting_user_id(), acting_request_id(), jsonb_build_object('count', count(*))
          FROM written GROUP BY project_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER announce_task_moves AFTER UPDATE ON tasks REFERENCING OLD TABLE AS replaced NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION announce_task_moves();

CREATE FUNCTION announce_task_removals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM removed LIMIT 101) AS few) <= 100 THEN
        INSERT INTO event_outbox (kind, project_id, task_id, revision, actor_id, request_id)
        SELECT 'task.removed', project_id, id, revision, acting_user_id(), acting_request_id() FROM removed ORDER BY id;
    ELSE
        INSERT INTO event_outbox (kind, project_id, actor_id, request_id, detail)
        SELECT 'tasks.removed', project_id, acting_user_id(), acting_request_id(), jsonb_build_object('count', count(*))
          FROM removed GROUP BY project_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER announce_task_removals AFTER DELETE ON tasks REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION announce_task_removals();
"""

DOWNGRADE = """
DROP TRIGGER announce_task_removals ON tasks;
DROP TRIGGER announce_task_moves ON tasks;
DROP FUNCTION announce_task_removals, announce_task_moves;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
