"""A deletion does not wait for changes of other trees, such as those of an import. See docs/adr/033."""

from alembic import op

revision = "2026_11_29_deletions_alone"
down_revision = "2026_11_29_compact_json"
branch_labels = None
depends_on = None

# Whoever puts a task below another locks the key of that one: its foreign key does so before the triggers of trees
# look, since PostgreSQL calls triggers in the order of their names. So while somebody else changes trees of the
# project, it is enough to lock the row of the deleted task: those who come later wait for it, and see that it is
# deleted. The function waits for no lock, so no two transactions wait for each other because of it.
DELETIONS = """
CREATE OR REPLACE FUNCTION check_deleted_task() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_alone boolean := pg_try_advisory_xact_lock(7203120, project_lock_key(NEW.project_id));
BEGIN
    IF NOT is_alone THEN
        PERFORM FROM tasks WHERE id = NEW.id FOR UPDATE SKIP LOCKED;
        is_alone := FOUND;
    END IF;
    IF EXISTS (SELECT FROM tasks WHERE id = NEW.id AND deleted_at IS NOT NULL)
       AND (NOT is_alone OR EXISTS (SELECT FROM tasks WHERE parent_id = NEW.id AND deleted_at IS NULL)) THEN
        RAISE EXCEPTION 'there are tasks below the deleted task %', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_tasks_tree_children';
    END IF;
    RETURN NULL;
END $$;
"""
# No foreign key is checked when a task is restored.
RESTORED = """
CREATE FUNCTION check_restored_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM tasks WHERE id = NEW.parent_id FOR KEY SHARE;
    PERFORM lock_trees(ARRAY[NEW.project_id]);
    IF EXISTS (SELECT FROM tasks WHERE id = NEW.parent_id AND deleted_at IS NOT NULL)
       AND EXISTS (SELECT FROM tasks WHERE id = NEW.id AND deleted_at IS NULL) THEN
        RAISE EXCEPTION 'task % would be below a deleted one', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_tasks_tree_parent';
    END IF;
    RETURN NULL;
END $$;
"""
RESTORED_TRIGGER = """
DROP TRIGGER check_restored_task ON tasks;
CREATE CONSTRAINT TRIGGER check_restored_task AFTER UPDATE OF deleted_at ON tasks
    FOR EACH ROW WHEN (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL AND NEW.parent_id IS NOT NULL)
    EXECUTE FUNCTION {function}();
"""
FORMER_DELETIONS = """
CREATE OR REPLACE FUNCTION check_deleted_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_trees(ARRAY[NEW.project_id]);
    IF EXISTS (SELECT FROM tasks WHERE parent_id = NEW.id AND deleted_at IS NULL)
       AND EXISTS (SELECT FROM tasks WHERE id = NEW.id AND deleted_at IS NOT NULL) THEN
        RAISE EXCEPTION 'there are tasks below the deleted task %', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_tasks_tree_children';
    END IF;
    RETURN NULL;
END $$;
"""


def upgrade() -> None:
    # First, so that no deletion relies on a lock that a restored task does not take yet.
    op.execute(RESTORED)
    op.execute(RESTORED_TRIGGER.format(function="check_restored_task"))
    op.execute(DELETIONS)


def downgrade() -> None:
    op.execute(FORMER_DELETIONS)
    op.execute(RESTORED_TRIGGER.format(function="check_task_tree"))
    op.execute("DROP FUNCTION check_restored_task")
