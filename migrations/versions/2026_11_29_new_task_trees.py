"""A new task has nothing below it, so its place in a tree is checked with less work. See docs/adr/033.

An import creates thousands of subtasks in a statement.
"""

from alembic import op

revision = "2026_11_29_new_task_trees"
down_revision = "2026_11_28_free_restored"
branch_labels = None
depends_on = None

# The lock and the rules are those of check_task_tree. The rows below a new row of the same statement are checked
# themselves. A row that is above itself has a third one above it.
FUNCTION = """
CREATE FUNCTION check_new_task_tree() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    above record;
BEGIN
    PERFORM pg_advisory_xact_lock(7203120, project_lock_key(NEW.project_id));
    SELECT p.project_id, p.deleted_at, (SELECT g.parent_id FROM tasks AS g WHERE g.id = p.parent_id) AS third_id
      INTO above
      FROM tasks AS p WHERE p.id = NEW.parent_id;
    IF above.project_id <> NEW.project_id THEN
        RAISE EXCEPTION 'task % and its parent are in different projects', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_tasks_tree_project';
    END IF;
    IF above.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL THEN
        RAISE EXCEPTION 'task % would be below a deleted one', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_tasks_tree_parent';
    END IF;
    IF above.third_id IS NOT NULL THEN
        RAISE EXCEPTION 'task % has its parent below itself, or more than three levels', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_tasks_tree_levels';
    END IF;
    RETURN NULL;
END $$;
"""
TRIGGER = """
DROP TRIGGER check_new_task_tree ON tasks;
CREATE CONSTRAINT TRIGGER check_new_task_tree AFTER INSERT ON tasks DEFERRABLE
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION {function}();
"""


def upgrade() -> None:
    op.execute(FUNCTION)
    op.execute(TRIGGER.format(function="check_new_task_tree"))


def downgrade() -> None:
    op.execute(TRIGGER.format(function="check_task_tree"))
    op.execute("DROP FUNCTION check_new_task_tree")
