"""Users, sessions, projects, tasks, task logs and imports; the default project."""

from alembic import op

revision = "2026_11_21_initial_schema"
down_revision = None
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TYPE user_role AS ENUM ('admin', 'manager', 'user', 'viewer');
CREATE TYPE task_status AS ENUM ('todo', 'in_progress', 'blocked', 'done', 'cancelled');
CREATE TYPE task_priority AS ENUM ('low', 'medium', 'high', 'critical');
CREATE TYPE log_source AS ENUM ('scheduled', 'manual', 'backfill');
CREATE TYPE import_state AS ENUM ('staging', 'loading', 'finished', 'failed');

CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_users PRIMARY KEY,
    username text NOT NULL CONSTRAINT ck_users_username_length CHECK (char_length(username) BETWEEN 1 AND 64),
    email text CONSTRAINT ck_users_email_length CHECK (char_length(email) <= 254),
    password_hash text,
    role user_role NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_users_active_can_log_in CHECK (NOT is_active OR password_hash IS NOT NULL)
);
CREATE UNIQUE INDEX uq_users_username ON users (lower(username));
CREATE UNIQUE INDEX uq_users_email ON users (lower(email));

CREATE TABLE sessions (
    id uuid CONSTRAINT pk_sessions PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT fk_sessions_user_id REFERENCES users (id) ON DELETE CASCADE,
    refresh_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX ix_sessions_user_id_open ON sessions (user_id) WHERE ended_at IS NULL;

CREATE TABLE login_attempts (
    subject text CONSTRAINT pk_login_attempts PRIMARY KEY,
    window_started_at timestamptz NOT NULL,
    attempts bigint NOT NULL
);
CREATE INDEX ix_login_attempts_window_started_at ON login_attempts (window_started_at);

CREATE TABLE projects (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_projects PRIMARY KEY,
    key text NOT NULL CONSTRAINT ck_projects_key_format CHECK (key ~ '^[A-Z][A-Z0-9]{1,9}$'),
    name text NOT NULL CONSTRAINT ck_projects_name_length CHECK (char_length(name) BETWEEN 1 AND 100),
    includes_everyone boolean NOT NULL DEFAULT false,
    last_task_number bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX uq_projects_key ON projects (key);
INSERT INTO projects (key, name, includes_everyone) VALUES ('GEN', 'General', true);

CREATE TABLE project_members (
    project_id bigint NOT NULL CONSTRAINT fk_project_members_project_id REFERENCES projects (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT fk_project_members_user_id REFERENCES users (id) ON DELETE CASCADE,
    added_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_project_members PRIMARY KEY (project_id, user_id)
);
CREATE INDEX ix_project_members_user_id ON project_members (user_id);

CREATE TABLE tasks (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_tasks PRIMARY KEY,
    project_id bigint NOT NULL CONSTRAINT fk_tasks_project_id REFERENCES projects (id),
    number bigint NOT NULL,
    title text NOT NULL CONSTRAINT ck_tasks_title_length CHECK (char_length(title) BETWEEN 1 AND 255),
    description text NOT NULL DEFAULT ''
        CONSTRAINT ck_tasks_description_length CHECK (char_length(description) <= 20000),
    status task_status NOT NULL,
    priority task_priority NOT NULL,
    labels text[] NOT NULL DEFAULT '{}' CONSTRAINT ck_tasks_label_count CHECK (cardinality(labels) <= 20),
    creator_id bigint NOT NULL CONSTRAINT fk_tasks_creator_id REFERENCES users (id),
    assignee_id bigint CONSTRAINT fk_tasks_assignee_id REFERENCES users (id),
    due_at timestamptz,
    position double precision NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    completed_at timestamptz,
    deleted_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    search tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', title || ' ' || description)) STORED
);
CREATE UNIQUE INDEX uq_tasks_project_id_number ON tasks (project_id, number);
CREATE INDEX ix_tasks_updated_at_id ON tasks (updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_tasks_due_at ON tasks (due_at) WHERE deleted_at IS NULL AND due_at IS NOT NULL;
CREATE INDEX ix_tasks_assignee_id ON tasks (assignee_id) WHERE assignee_id IS NOT NULL;
CREATE INDEX ix_tasks_search ON tasks USING gin (search);

CREATE TABLE task_logs (
    log_date date NOT NULL,
    task_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    project_id bigint NOT NULL,
    number bigint NOT NULL,
    title text NOT NULL,
    status task_status NOT NULL,
    priority task_priority NOT NULL,
    assignee_id bigint,
    due_at timestamptz,
    CONSTRAINT pk_task_logs PRIMARY KEY (log_date, task_id)
) PARTITION BY RANGE (log_date);
CREATE INDEX ix_task_logs_id ON task_logs (id);

CREATE TABLE log_runs (
    log_date date CONSTRAINT pk_log_runs PRIMARY KEY,
    time_zone text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    task_count bigint NOT NULL,
    source log_source NOT NULL,
    is_final boolean NOT NULL
);

CREATE TABLE log_requests (
    log_date date CONSTRAINT pk_log_requests PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT now(),
    requested_by bigint NOT NULL
);

CREATE TABLE imports (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_imports PRIMARY KEY,
    creator_id bigint NOT NULL CONSTRAINT fk_imports_creator_id REFERENCES users (id),
    project_id bigint NOT NULL CONSTRAINT fk_imports_project_id REFERENCES projects (id),
    filename text NOT NULL,
    is_dry_run boolean NOT NULL DEFAULT false,
    state import_state NOT NULL,
    read_count bigint NOT NULL DEFAULT 0,
    created_count bigint NOT NULL DEFAULT 0,
    refused_count bigint NOT NULL DEFAULT 0,
    failure text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX ix_imports_project_id ON imports (project_id);
CREATE INDEX ix_imports_creator_id ON imports (creator_id);

CREATE TABLE import_rows (
    import_id bigint NOT NULL CONSTRAINT fk_import_rows_import_id REFERENCES imports (id) ON DELETE CASCADE,
    row_number bigint NOT NULL,
    line_number bigint NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    status task_status NOT NULL,
    priority task_priority NOT NULL,
    created_at timestamptz,
    due_at timestamptz,
    labels text[] NOT NULL,
    assignee text,
    CONSTRAINT pk_import_rows PRIMARY KEY (import_id, row_number)
);

CREATE TABLE import_errors (
    import_id bigint NOT NULL CONSTRAINT fk_import_errors_import_id REFERENCES imports (id) ON DELETE CASCADE,
    row_number bigint NOT NULL,
    problem_number bigint NOT NULL,
    line_number bigint NOT NULL,
    column_name text,
    value text,
    reason text NOT NULL,
    CONSTRAINT pk_import_errors PRIMARY KEY (import_id, row_number, problem_number)
);
"""

DOWNGRADE = """
DROP TABLE import_errors, import_rows, imports, log_requests, log_runs, task_logs, tasks, project_members, projects,
    login_attempts, sessions, users;
DROP TYPE import_state, log_source, task_priority, task_status, user_role;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
