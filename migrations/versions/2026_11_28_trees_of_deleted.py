"""No task is below a deleted one, whoever writes, and locks of trees are taken in order. See docs/adr/033.

The release before this one deletes what is below a task row by row, so deletions are checked at the end.
"""

from alembic import op

revision = "2026_11_28_trees_of_deleted"
down_revision = "2026_11_28_id_of_ref"
branch_labels = None
depends_on = None


def check_task_tree(lock: str, parent_check: str) -> str:
    """The function that checks one task. The migration of the plan explains it."""
    return f"""
CREATE OR REPLACE FUNCTION check_task_tree() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    levels_above int;
    levels_below int;
BEGIN
    {lock}
    IF EXISTS (SELECT FROM tasks WHERE parent_id = NEW.id AND project_id <> NEW.project_id)
       OR EXISTS (SELECT FROM tasks WHERE id = NEW.parent_id AND project_id <> NEW.project_id) THEN
        RAISE EXCEPTION 'task % and its subtasks are in different projects', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_tasks_tree_project';
    END IF;
    {parent_check}
    WITH RECURSIVE above AS (
        SELECT id, parent_id, 1 AS level FROM tasks WHERE id = NEW.parent_id
        UNION ALL
        SELECT t.id, t.parent_id, a.level + 1 FROM tasks AS t JOIN above AS a ON t.id = a.parent_id WHERE a.level < 4
    )
    SELECT coalesce(max(level), 0) INTO levels_above FROM above;
    WITH RECURSIVE below AS (
        SELECT id, 1 AS level FROM tasks WHERE parent_id = NEW.id
        UNION ALL
        SELECT t.id, b.level + 1 FROM tasks AS t JOIN below AS b ON t.parent_id = b.id WHERE b.level < 4
    )
    SELECT coalesce(max(level), 0) INTO levels_below FROM below;
    IF levels_above + 1 + levels_below > 3 THEN
        RAISE EXCEPTION 'task % has its parent below itself, or more than three levels', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_tasks_tree_levels';
    END IF;
    RETURN NULL;
END $$;
"""


OLD_LOCK = "PERFORM pg_advisory_xact_lock(7203120, (NEW.project_id % 2147483647)::int);"
LOCK = "PERFORM lock_trees(ARRAY[NEW.project_id]);"
# The row may have been deleted since the trigger was called.
PARENT_CHECK = """
    IF EXISTS (SELECT FROM tasks WHERE id = NEW.parent_id AND deleted_at IS NOT NULL)
       AND EXISTS (SELECT FROM tasks WHERE id = NEW.id AND deleted_at IS NULL) THEN
        RAISE EXCEPTION 'task % would be below a deleted one', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_tasks_tree_parent';
    END IF;
"""
LOCK_TREES = """
-- Keeps the trees of these projects as they are until the commit. In order, so that two transactions that need several
-- do not wait for each other.
CREATE FUNCTION lock_trees(project_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    key int;
BEGIN
    FOR key IN SELECT DISTINCT project_lock_key(id) AS lock_key FROM unnest(project_ids) AS id ORDER BY lock_key LOOP
        PERFORM pg_advisory_xact_lock(7203120, key);
    END LOOP;
END $$;
"""
DELETIONS = """
CREATE FUNCTION check_deleted_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_trees(ARRAY[NEW.project_id]);
    IF EXISTS (SELECT FROM tasks WHERE parent_id = NEW.id AND deleted_at IS NULL)
       AND EXISTS (SELECT FROM tasks WHERE id = NEW.id AND deleted_at IS NOT NULL) THEN
        RAISE EXCEPTION 'there are tasks below the deleted task %', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_tasks_tree_children';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER check_deleted_task AFTER UPDATE OF deleted_at ON tasks DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION check_deleted_task();
CREATE CONSTRAINT TRIGGER check_restored_task AFTER UPDATE OF deleted_at ON tasks
    FOR EACH ROW WHEN (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL AND NEW.parent_id IS NOT NULL)
    EXECUTE FUNCTION check_task_tree();
"""
DROP_DELETIONS = """
DROP TRIGGER check_restored_task ON tasks;
DROP TRIGGER check_deleted_task ON tasks;
DROP FUNCTION check_deleted_task;
"""


def upgrade() -> None:
    op.execute(LOCK_TREES)
    op.execute(check_task_tree(LOCK, PARENT_CHECK))
    op.execute(DELETIONS)


def downgrade() -> None:
    op.execute(DROP_DELETIONS)
    op.execute(check_task_tree(OLD_LOCK, ""))
    op.execute("DROP FUNCTION lock_trees")
