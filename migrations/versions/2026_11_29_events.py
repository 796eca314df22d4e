"""The feed of events: the outbox that writers fill, and the numbered events. See docs/adr/035."""

from alembic import op

revision = "2026_11_29_events"
down_revision = "2026_11_29_validate_plans"
branch_labels = None
depends_on = None

UPGRADE = """
-- What has happened. The rows of one task are in the order of their commits; others may not be. Rows stay for moments,
-- so vacuum must not wait for a share of the table.
CREATE TABLE event_outbox (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_event_outbox PRIMARY KEY,
    kind text NOT NULL,
    project_id bigint,
    task_id bigint,
    revision bigint,
    user_id bigint,
    subject_id bigint,
    actor_id bigint,
    request_id text,
    occurred_at timestamptz NOT NULL DEFAULT record_now(),
    detail jsonb
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE events (
    position bigint CONSTRAINT pk_events PRIMARY KEY,
    kind text NOT NULL,
    project_id bigint,
    previous_project_id bigint,
    task_id bigint,
    revision bigint,
    changed text[],
    user_id bigint,
    subject_id bigint,
    actor_id bigint,
    request_id text,
    occurred_at timestamptz NOT NULL,
    detail jsonb,
    numbered_at timestamptz NOT NULL DEFAULT record_now()
);

-- The position of the last event, in one row. Each numbering updates it, so its page has room for many versions.
CREATE TABLE event_head (
    id boolean CONSTRAINT pk_event_head PRIMARY KEY DEFAULT true CONSTRAINT ck_event_head_one_row CHECK (id),
    position bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO event_head (position) VALUES (0);

-- The names of the columns that differ between two versions of a task or a comment.
CREATE FUNCTION changed_columns(new jsonb, old jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(n.key ORDER BY n.key), '{}')
      FROM jsonb_each(new) AS n
     WHERE n.value IS DISTINCT FROM old -> n.key
       AND n.key <> ALL ('{revision,version,valid_from,valid_to,actor_id,request_id,position,body_html,edited_at}')
$$;

-- Gives events of the outbox the next positions. Returns the position of the last event; NULL while another session
-- numbers, which readers need not wait for.
--
-- Each statement has a snapshot of its own, taken after the lock. Positions are therefore dense, and what a reader sees
-- up to the last position stays complete. Events of one task keep their order: the second writer of a task waited for
-- the commit of the first one before it wrote into the outbox.
--
-- The outbox is read from its smallest id, and as a range: a list of ids would get a plan that reads all rows for each.
-- Without new events nothing is locked or written.
CREATE FUNCTION number_events(batch integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    head bigint;
    last_id bigint;
    numbered bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM event_outbox) THEN
        RETURN (SELECT position FROM event_head);
    END IF;
    SELECT position INTO head FROM event_head FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT max(id) INTO last_id FROM (SELECT id FROM event_outbox ORDER BY id LIMIT batch) AS oldest;
    IF last_id IS NULL THEN
        RETURN head;
    END IF;
    WITH taken AS (DELETE FROM event_outbox WHERE id <= last_id RETURNING *),
    compared AS (
        SELECT t.*, present.version AS new, previous.version AS old
          FROM taken AS t
          -- LIMIT, so that each version is found by its key: the planner does not know how few rows were taken.
          LEFT JOIN LATERAL (
              (SELECT to_jsonb(h) AS version FROM task_history AS h
                WHERE t.kind = 'task.changed' AND h.task_id = t.task_id AND h.revision = t.revision LIMIT 1)
              UNION ALL
              (SELECT to_jsonb(v) FROM comment_versions AS v
                WHERE t.kind = 'comment.changed' AND v.comment_id = t.subject_id AND v.version = t.revision LIMIT 1)
          ) AS present ON true
          LEFT JOIN LATERAL (
              (SELECT to_jsonb(h) AS version FROM task_history AS h
                WHERE t.kind = 'task.changed' AND h.task_id = t.task_id AND h.revision = t.revision - 1 LIMIT 1)
              UNION ALL
              (SELECT to_jsonb(v) FROM comment_versions AS v
                WHERE t.kind = 'comment.changed' AND v.comment_id = t.subject_id AND v.version = t.revision - 1 LIMIT 1)
          ) AS previous ON true)
    INSERT INTO events (position, kind, project_id, previous_project_id, task_id, revision, changed, user_id,
        subject_id, actor_id, request_id, occurred_at, detail)
    SELECT head + row_number() OVER (ORDER BY id),
           CASE WHEN old ->> 'deleted_at' IS NULL AND new ->> 'deleted_at' IS NOT NULL
                THEN replace(kind, 'changed', 'deleted')
                WHEN old ->> 'deleted_at' IS NOT NULL AND new ->> 'deleted_at' IS NULL
                THEN replace(kind, 'changed', 'restored')
                ELSE kind
           END,
           project_id, nullif((old ->> 'project_id')::bigint, project_id), task_id, revision,
           CASE WHEN old IS NOT NULL THEN changed_columns(new, old) END,
           user_id, subject_id, actor_id, request_id, occurred_at, detail
      FROM compared;
    GET DIAGNOSTICS numbered = ROW_COUNT;
    UPDATE event_head SET position = head + numbered;
    RETURN head + numbered;
END $$;

-- The user and the request of the transaction, if it has any.
CREATE FUNCTION acting_user_id() RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT nullif(current_setting('tasktracker.actor_id', true), '')::bigint $$;
CREATE FUNCTION acting_request_id() RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT nullif(current_setting('tasktracker.request_id', true), '') $$;
"""

DOWNGRADE = """
DROP FUNCTION acting_request_id, acting_user_id, number_events, changed_columns;
DROP TABLE event_head, events, event_outbox;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
