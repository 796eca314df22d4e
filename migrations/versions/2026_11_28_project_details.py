"""Descriptions, colours and work limits of projects, and the times for which a project was archived."""

from alembic import op

revision = "2026_11_28_project_details"
down_revision = "2026_11_28_merged_comments"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE projects
    ADD description text NOT NULL DEFAULT ''
        CONSTRAINT ck_projects_description_length CHECK (char_length(description) <= 20000),
    ADD color text CONSTRAINT ck_projects_color_format CHECK (color ~ '^#[0-9a-f]{6}$'),
    ADD wip_limits jsonb NOT NULL DEFAULT '{}',
    ADD archived_at timestamptz,
    ADD CONSTRAINT ck_projects_default_is_open CHECK (archived_at IS NULL OR NOT includes_everyone);
CREATE INDEX ix_projects_archived ON projects (id) WHERE archived_at IS NOT NULL;

CREATE TABLE project_archivals (
    project_id bigint NOT NULL CONSTRAINT fk_project_archivals_project_id_projects REFERENCES projects,
    archived_at timestamptz NOT NULL,
    restored_at timestamptz NOT NULL DEFAULT 'infinity',
    CONSTRAINT pk_project_archivals PRIMARY KEY (project_id, archived_at),
    CONSTRAINT ck_project_archivals_lasts CHECK (archived_at < restored_at)
);

-- The key of the lock that writers of a project's tasks share, and that whoever archives the project takes alone.
CREATE FUNCTION project_lock_key(project_id bigint) RETURNS int LANGUAGE sql IMMUTABLE AS
    $$ SELECT (project_id % 2147483647)::int $$;

-- Archiving and restoring happen at an instant of the history, so that a day that is closed keeps what it has.
CREATE FUNCTION record_archival() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_instant timestamptz;
BEGIN
    -- Waits for the open transactions that have written a task of the project.
    PERFORM pg_advisory_xact_lock(7203117, project_lock_key(NEW.id));
    UPDATE project_archivals SET restored_at = greatest(recorded_instant(), archived_at + interval '1 microsecond')
     WHERE project_id = NEW.id AND restored_at = 'infinity';
    IF NEW.archived_at IS NOT NULL THEN
        SELECT max(restored_at) INTO last_instant FROM project_archivals WHERE project_id = NEW.id;
        NEW.archived_at := greatest(recorded_instant(), last_instant);
        INSERT INTO project_archivals (project_id, archived_at) VALUES (NEW.id, NEW.archived_at);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER begin_archival BEFORE UPDATE OF archived_at ON projects
    FOR EACH STATEMENT EXECUTE FUNCTION begin_task_record();
CREATE TRIGGER record_archival BEFORE UPDATE OF archived_at ON projects FOR EACH ROW
    WHEN (OLD.archived_at IS DISTINCT FROM NEW.archived_at) EXECUTE FUNCTION record_archival();
"""
DOWNGRADE = """
DROP TRIGGER record_archival ON projects;
DROP TRIGGER begin_archival ON projects;
DROP FUNCTION record_archival, project_lock_key;
DROP TABLE project_archivals;
DROP INDEX ix_projects_archived;
ALTER TABLE projects
    DROP CONSTRAINT ck_projects_default_is_open, DROP description, DROP color, DROP wip_limits, DROP archived_at;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
