"""The plan of a task: its parent, its start date, its estimate, and the rule by which it recurs.

The release before this one writes tasks without these columns, and the triggers keep them in the history.
"""

from alembic import op

revision = "2026_11_28_task_planning"
down_revision = "2026_11_27_import_options"
branch_labels = None
depends_on = None

OLD_COLUMNS = """project_id, number, title, description, status, priority, labels, creator_id, assignee_id, due_at,
        external_ref, position, created_at, started_at, completed_at, deleted_at, version"""
COLUMNS = f"{OLD_COLUMNS}, parent_id, start_on, estimate, recurrence"
OLD_REVISED = (
    *("project_id", "number", "title", "description", "status", "priority", "labels", "assignee_id", "due_at"),
    *("external_ref", "created_at", "started_at", "completed_at", "deleted_at"),
)
REVISED = (*OLD_REVISED, "parent_id", "start_on", "estimate", "recurrence")

# Nobody reads or writes tasks while their table is altered. A later revision validates the constraints, which reads
# every task.
ADD_COLUMNS = """
ALTER TABLE task_history ADD parent_id bigint, ADD start_on date, ADD estimate double precision, ADD recurrence text;
ALTER TABLE tasks
    ADD parent_id bigint,
    ADD start_on date,
    ADD estimate double precision,
    ADD recurrence text,
    ADD CONSTRAINT fk_tasks_parent_id FOREIGN KEY (parent_id) REFERENCES tasks (id) ON DELETE SET NULL NOT VALID,
    ADD CONSTRAINT ck_tasks_estimate_range CHECK (estimate BETWEEN 0 AND 1000000) NOT VALID;
"""

# A subtask is in its parent's project, and is at most on the third level; nobody is above itself. Two changes that are
# right by themselves can break this together, so they wait for each other, and each sees what the other has committed.
TREE = """
CREATE FUNCTION check_task_tree() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    levels_above int;
    levels_below int;
BEGIN
    PERFORM pg_advisory_xact_lock(7203120, (NEW.project_id % 2147483647)::int);
    IF EXISTS (SELECT FROM tasks WHERE parent_id = NEW.id AND project_id <> NEW.project_id)
       OR EXISTS (SELECT FROM tasks WHERE id = NEW.parent_id AND project_id <> NEW.project_id) THEN
        RAISE EXCEPTION 'task % and its subtasks are in different projects', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_tasks_tree_project';
    END IF;
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
CREATE CONSTRAINT TRIGGER check_new_task_tree AFTER INSERT ON tasks DEFERRABLE
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION check_task_tree();
CREATE CONSTRAINT TRIGGER check_task_tree AFTER UPDATE OF parent_id, project_id ON tasks DEFERRABLE
    FOR EACH ROW WHEN (OLD.parent_id IS DISTINCT FROM NEW.parent_id OR OLD.project_id <> NEW.project_id)
    EXECUTE FUNCTION check_task_tree();
"""
DROP_TREE = """
DROP TRIGGER check_task_tree ON tasks;
DROP TRIGGER check_new_task_tree ON tasks;
DROP FUNCTION check_task_tree;
"""


def recording_functions(columns: str) -> str:
    """The functions that write new versions. The initial migration of the history explains them."""
    selected = f"""
        SELECT id, revision, revised_at, {columns},
               nullif(current_setting('tasktracker.actor_id', true), '')::bigint,
               nullif(current_setting('tasktracker.request_id', true), '')
          FROM written"""
    insert = f"INSERT INTO task_history (task_id, revision, valid_from, {columns}, actor_id, request_id)"
    return f"""
        CREATE OR REPLACE FUNCTION record_new_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            {insert} {selected};
            RETURN NULL;
        END $$;
        CREATE OR REPLACE FUNCTION record_changed_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE task_history AS h SET valid_to = w.revised_at
              FROM written AS w
             WHERE h.task_id = w.id AND h.revision = w.revision - 1 AND h.valid_to = 'infinity';
            {insert} {selected}
                ON CONFLICT (task_id, revision) DO NOTHING;
            RETURN NULL;
        END $$;
    """


def revising_trigger(columns: tuple[str, ...]) -> str:
    old, new = (", ".join(f"{row}.{name}" for name in columns) for row in ("OLD", "NEW"))
    return f"""
        CREATE OR REPLACE TRIGGER revise_task BEFORE UPDATE ON tasks FOR EACH ROW
            WHEN (({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION revise_task();
    """


def upgrade() -> None:
    op.execute(ADD_COLUMNS)
    op.execute(recording_functions(COLUMNS))
    op.execute(revising_trigger(REVISED))
    op.execute(TREE)


def downgrade() -> None:
    op.execute(DROP_TREE)
    op.execute(revising_trigger(OLD_REVISED))
    op.execute(recording_functions(OLD_COLUMNS))
    op.execute("ALTER TABLE tasks DROP parent_id, DROP start_on, DROP estimate, DROP recurrence")
    op.execute("ALTER TABLE task_history DROP parent_id, DROP start_on, DROP estimate, DROP recurrence")
