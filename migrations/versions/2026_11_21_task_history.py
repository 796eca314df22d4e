"""The history of tasks: every version, written by triggers in the writer's own transaction.

Existing tasks begin their history with their present state.
"""

from alembic import op

revision = "2026_11_21_task_history"
down_revision = "2026_11_21_import_indexes"
branch_labels = None
depends_on = None

TABLES = """
-- The present time of the history. It is a function, so that tests can replace it.
CREATE FUNCTION record_now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now()';

-- The history is closed up to this instant: no new version begins before it.
CREATE TABLE record_boundary (
    id boolean CONSTRAINT pk_record_boundary PRIMARY KEY DEFAULT true CONSTRAINT ck_record_boundary_one_row CHECK (id),
    closed_until timestamptz NOT NULL
);
INSERT INTO record_boundary (closed_until)
SELECT coalesce(max((log_date + 1)::timestamp AT TIME ZONE time_zone), '-infinity') FROM log_runs WHERE is_final;

-- The instant at which the changes of this statement happen. begin_task_record sets it.
CREATE FUNCTION recorded_instant() RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT current_setting('tasktracker.recorded_at')::timestamptz $$;

CREATE TABLE task_history (
    task_id bigint NOT NULL,
    revision bigint NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL DEFAULT 'infinity',
    project_id bigint NOT NULL,
    number bigint NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    status task_status NOT NULL,
    priority task_priority NOT NULL,
    labels text[] NOT NULL,
    creator_id bigint NOT NULL,
    assignee_id bigint,
    due_at timestamptz,
    external_ref text,
    position double precision NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    completed_at timestamptz,
    deleted_at timestamptz,
    version bigint NOT NULL,
    actor_id bigint,
    request_id text,
    CONSTRAINT pk_task_history PRIMARY KEY (task_id, revision),
    CONSTRAINT ck_task_history_lasts CHECK (valid_from < valid_to)
);
INSERT INTO task_history (task_id, revision, valid_from, project_id, number, title, description, status, priority,
    labels, creator_id, assignee_id, due_at, external_ref, position, created_at, started_at, completed_at, deleted_at,
    version)
SELECT id, 1, recorded_at, project_id, number, title, description, status, priority, labels, creator_id, assignee_id,
    due_at, external_ref, position, created_at, started_at, completed_at, deleted_at, version FROM tasks;
CREATE INDEX ix_task_history_valid_from_task_id ON task_history (valid_from, task_id);
CREATE INDEX ix_task_history_valid_to ON task_history (valid_to) WHERE valid_to < 'infinity';

ALTER TABLE tasks RENAME recorded_at TO revised_at;
ALTER TABLE tasks ALTER revised_at SET DEFAULT recorded_instant(), ADD revision bigint NOT NULL DEFAULT 1;
"""

TRIGGERS = """
-- Decides when the changes of a statement happen: at the start of its transaction, or at the boundary if that is later.
-- The lock shows which transactions may still write into a day that is being closed. A writer takes the lock before it
-- reads the boundary, and a closer moves the boundary before it looks at the locks, so no writer is missed.
CREATE FUNCTION begin_task_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A snapshot for the whole transaction would show an old boundary.
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RAISE EXCEPTION 'tasks are written in READ COMMITTED transactions';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(7203116, floor(extract(epoch FROM record_now()) / 60)::int);
    PERFORM set_config('tasktracker.recorded_at', greatest(record_now(), closed_until)::text, true)
       FROM record_boundary;
    RETURN NULL;
END $$;

-- Gives a changed row its next revision, later than the one before it even if the clock was set back.
CREATE FUNCTION revise_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    NEW.revised_at := greatest(recorded_instant(), OLD.revised_at + interval '1 microsecond');
    RETURN NEW;
END $$;

-- Nobody else may set these columns.
CREATE FUNCTION keep_task_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision;
    NEW.revised_at := OLD.revised_at;
    RETURN NEW;
END $$;

CREATE FUNCTION record_new_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_history (task_id, revision, valid_from, project_id, number, title, description, status, priority,
        labels, creator_id, assignee_id, due_at, external_ref, position, created_at, started_at, completed_at,
        deleted_at, version, actor_id, request_id)
    SELECT id, revision, revised_at, project_id, number, title, description, status, priority, labels, creator_id,
        assignee_id, due_at, external_ref, position, created_at, started_at, completed_at, deleted_at, version,
        nullif(current_setting('tasktracker.actor_id', true), '')::bigint,
        nullif(current_setting('tasktracker.request_id', true), '')
      FROM written;
    RETURN NULL;
END $$;

-- Uses only the new rows and finds the history by its key: a join of both transition tables would be planned for one
-- row and would then take minutes for many. A row that was written but not revised leaves its last version open.
CREATE FUNCTION record_changed_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE task_history AS h SET valid_to = w.revised_at
      FROM written AS w
     WHERE h.task_id = w.id AND h.revision = w.revision - 1 AND h.valid_to = 'infinity';
    INSERT INTO task_history (task_id, revision, valid_from, project_id, number, title, description, status, priority,
        labels, creator_id, assignee_id, due_at, external_ref, position, created_at, started_at, completed_at,
        deleted_at, version, actor_id, request_id)
    SELECT id, revision, revised_at, project_id, number, title, description, status, priority, labels, creator_id,
        assignee_id, due_at, external_ref, position, created_at, started_at, completed_at, deleted_at, version,
        nullif(current_setting('tasktracker.actor_id', true), '')::bigint,
        nullif(current_setting('tasktracker.request_id', true), '')
      FROM written
        ON CONFLICT (task_id, revision) DO NOTHING;
    RETURN NULL;
END $$;

-- A task that is deleted for good keeps its history, and its last version ends.
CREATE FUNCTION record_removed_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE task_history AS h
       SET valid_to = greatest(recorded_instant(), h.valid_from + interval '1 microsecond')
      FROM removed AS r
     WHERE h.task_id = r.id AND h.revision = r.revision;
    RETURN NULL;
END $$;

-- Only these triggers may change the history; changes by hand are refused.
CREATE FUNCTION refuse_to_rewrite_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN
        RAISE EXCEPTION 'the history of tasks is not rewritten';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refuse_to_rewrite_history BEFORE UPDATE OR DELETE OR TRUNCATE ON task_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite_history();
-- A trigger cannot see which tasks a TRUNCATE removes, so it is refused.
CREATE TRIGGER refuse_to_truncate_tasks BEFORE TRUNCATE ON tasks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite_history();

CREATE TRIGGER begin_task_record BEFORE INSERT OR UPDATE OR DELETE ON tasks
    FOR EACH STATEMENT EXECUTE FUNCTION begin_task_record();
-- Fires before revise_task: triggers fire in the order of their names.
CREATE TRIGGER keep_task_revision BEFORE UPDATE OF revision, revised_at ON tasks
    FOR EACH ROW EXECUTE FUNCTION keep_task_revision();
CREATE TRIGGER revise_task BEFORE UPDATE ON tasks FOR EACH ROW
    WHEN ((OLD.project_id, OLD.number, OLD.title, OLD.description, OLD.status, OLD.priority, OLD.labels,
           OLD.assignee_id, OLD.due_at, OLD.external_ref, OLD.created_at, OLD.started_at, OLD.completed_at,
           OLD.deleted_at)
      IS DISTINCT FROM
          (NEW.project_id, NEW.number, NEW.title, NEW.description, NEW.status, NEW.priority, NEW.labels,
           NEW.assignee_id, NEW.due_at, NEW.external_ref, NEW.created_at, NEW.started_at, NEW.completed_at,
           NEW.deleted_at))
    EXECUTE FUNCTION revise_task();
CREATE TRIGGER record_new_tasks AFTER INSERT ON tasks REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION record_new_tasks();
CREATE TRIGGER record_changed_tasks AFTER UPDATE ON tasks REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION record_changed_tasks();
CREATE TRIGGER record_removed_tasks AFTER DELETE ON tasks REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION record_removed_tasks();
"""

DOWNGRADE = """
DROP TRIGGER refuse_to_truncate_tasks ON tasks;
DROP TRIGGER record_removed_tasks ON tasks;
DROP TRIGGER record_changed_tasks ON tasks;
DROP TRIGGER record_new_tasks ON tasks;
DROP TRIGGER revise_task ON tasks;
DROP TRIGGER keep_task_revision ON tasks;
DROP TRIGGER begin_task_record ON tasks;
DROP FUNCTION record_removed_tasks, record_changed_tasks, record_new_tasks, revise_task,
    keep_task_revision, begin_task_record;
ALTER TABLE tasks DROP revision, ALTER revised_at SET DEFAULT now();
ALTER TABLE tasks RENAME revised_at TO recorded_at;
DROP TABLE task_history, record_boundary;
DROP FUNCTION refuse_to_rewrite_history, recorded_instant, record_now;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(TRIGGERS)


def downgrade() -> None:
    op.execute(DOWNGRADE)
