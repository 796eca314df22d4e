"""The tasks of archived projects are read-only, whoever writes them. See docs/adr/032."""

from alembic import op

revision = "2026_11_28_read_only_tasks"
down_revision = "2026_11_28_project_details"
branch_labels = None
depends_on = None

UPGRADE = """
-- Raises if one of the projects is archived, and keeps them from being archived until the commit. The lock comes first:
-- the statement after it sees what was committed meanwhile. A transaction that says so may write nevertheless: a merge
-- of users has to reach their old tasks too.
CREATE FUNCTION ensure_projects_are_open(project_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    archived_key text;
BEGIN
    IF current_setting('tasktracker.writes_archived_projects', true) = 'on' THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(7203117, project_lock_key(id)) FROM unnest(project_ids) AS id;
    SELECT key INTO archived_key FROM projects WHERE id = ANY (project_ids) AND archived_at IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the project % is archived', archived_key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_are_open', DETAIL = archived_key;
    END IF;
END $$;

CREATE FUNCTION ensure_tasks_are_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ensure_projects_are_open(ARRAY(SELECT DISTINCT project_id FROM written ORDER BY project_id));
    RETURN NULL;
END $$;
CREATE FUNCTION ensure_left_project_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ensure_projects_are_open(ARRAY[least(OLD.project_id, NEW.project_id),
                                           greatest(OLD.project_id, NEW.project_id)]);
    RETURN NEW;
END $$;
CREATE TRIGGER ensure_new_tasks_are_open AFTER INSERT ON tasks REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION ensure_tasks_are_open();
CREATE TRIGGER ensure_changed_tasks_are_open AFTER UPDATE ON tasks REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION ensure_tasks_are_open();
CREATE TRIGGER ensure_left_project_is_open BEFORE UPDATE ON tasks FOR EACH ROW
    WHEN (OLD.project_id <> NEW.project_id) EXECUTE FUNCTION ensure_left_project_is_open();
"""
DOWNGRADE = """
DROP TRIGGER ensure_left_project_is_open ON tasks;
DROP TRIGGER ensure_changed_tasks_are_open ON tasks;
DROP TRIGGER ensure_new_tasks_are_open ON tasks;
DROP FUNCTION ensure_left_project_is_open, ensure_tasks_are_open, ensure_projects_are_open;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
