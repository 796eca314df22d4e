"""Comments on tasks, every version of them, and whom each version mentions. See docs/adr/027.

The next revision ties them to tasks, so that this one locks only the table of users.
"""

from alembic import op

revision = "2026_11_28_comments"
down_revision = "2026_11_28_subtask_indexes"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE comments (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_comments PRIMARY KEY,
    task_id bigint NOT NULL,
    author_id bigint NOT NULL CONSTRAINT fk_comments_author_id REFERENCES users (id),
    body text NOT NULL CONSTRAINT ck_comments_body_length CHECK (char_length(body) BETWEEN 1 AND 20000),
    body_html text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    edited_at timestamptz,
    deleted_at timestamptz,
    deleted_by_id bigint CONSTRAINT fk_comments_deleted_by_id REFERENCES users (id),
    version bigint NOT NULL DEFAULT 1,
    revised_at timestamptz NOT NULL DEFAULT record_now()
);
CREATE INDEX ix_comments_task_id_created_at ON comments (task_id, created_at, id);
CREATE INDEX ix_comments_author_id ON comments (author_id);

CREATE TABLE comment_versions (
    comment_id bigint NOT NULL CONSTRAINT fk_comment_versions_comment_id REFERENCES comments (id) ON DELETE CASCADE,
    version bigint NOT NULL,
    task_id bigint NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL DEFAULT 'infinity',
    body text NOT NULL,
    body_html text NOT NULL,
    edited_at timestamptz,
    deleted_at timestamptz,
    deleted_by_id bigint,
    actor_id bigint,
    request_id text,
    CONSTRAINT pk_comment_versions PRIMARY KEY (comment_id, version),
    CONSTRAINT ck_comment_versions_lasts CHECK (valid_from < valid_to)
);
CREATE INDEX ix_comment_versions_task_id ON comment_versions (task_id, valid_from);

CREATE TABLE comment_mentions (
    comment_id bigint NOT NULL CONSTRAINT fk_comment_mentions_comment_id REFERENCES comments (id) ON DELETE CASCADE,
    version bigint NOT NULL,
    user_id bigint NOT NULL CONSTRAINT fk_comment_mentions_user_id REFERENCES users (id),
    CONSTRAINT pk_comment_mentions PRIMARY KEY (comment_id, version, user_id)
);
CREATE INDEX ix_comment_mentions_user_id ON comment_mentions (user_id);
"""

TRIGGERS = """
-- Gives a changed comment its next version, later than the one before it even if the clock was set back.
CREATE FUNCTION revise_comment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    NEW.revised_at := greatest(record_now(), OLD.revised_at + interval '1 microsecond');
    IF NEW.body <> OLD.body THEN
        NEW.edited_at := NEW.revised_at;
    END IF;
    RETURN NEW;
END $$;

-- Nobody else may set these columns.
CREATE FUNCTION keep_comment_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version;
    NEW.revised_at := OLD.revised_at;
    NEW.edited_at := OLD.edited_at;
    RETURN NEW;
END $$;

CREATE FUNCTION record_new_comments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO comment_versions (comment_id, version, task_id, valid_from, body, body_html, edited_at, deleted_at,
        deleted_by_id, actor_id, request_id)
    SELECT id, version, task_id, revised_at, body, body_html, edited_at, deleted_at, deleted_by_id,
        nullif(current_setting('tasktracker.actor_id', true), '')::bigint,
        nullif(current_setting('tasktracker.request_id', true), '')
      FROM written;
    RETURN NULL;
END $$;

-- Uses only the new rows and finds the versions by their key, as record_changed_tasks does. A version with the same
-- text mentions the same people.
CREATE FUNCTION record_changed_comments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE comment_versions AS v SET valid_to = w.revised_at
      FROM written AS w
     WHERE v.comment_id = w.id AND v.version = w.version - 1 AND v.valid_to = 'infinity';
    INSERT INTO comment_mentions (comment_id, version, user_id)
    SELECT m.comment_id, w.version, m.user_id
      FROM written AS w
      JOIN comment_versions AS v ON v.comment_id = w.id AND v.version = w.version - 1 AND v.body = w.body
      JOIN comment_mentions AS m ON m.comment_id = w.id AND m.version = w.version - 1
        ON CONFLICT DO NOTHING;
    INSERT INTO comment_versions (comment_id, version, task_id, valid_from, body, body_html, edited_at, deleted_at,
        deleted_by_id, actor_id, request_id)
    SELECT id, version, task_id, revised_at, body, body_html, edited_at, deleted_at, deleted_by_id,
        nullif(current_setting('tasktracker.actor_id', true), '')::bigint,
        nullif(current_setting('tasktracker.request_id', true), '')
      FROM written
        ON CONFLICT (comment_id, version) DO NOTHING;
    RETURN NULL;
END $$;

-- Only these triggers may change the versions; changes by hand are refused.
CREATE FUNCTION refuse_to_rewrite_comments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN
        RAISE EXCEPTION 'the versions of comments are not rewritten';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refuse_to_rewrite_comments BEFORE UPDATE OR DELETE OR TRUNCATE ON comment_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite_comments();
-- A trigger cannot see which comments a TRUNCATE removes, so it is refused.
CREATE TRIGGER refuse_to_truncate_comments BEFORE TRUNCATE ON comments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite_comments();

-- Fires before revise_comment: triggers fire in the order of their names.
CREATE TRIGGER keep_comment_version BEFORE UPDATE OF version, revised_at, edited_at ON comments
    FOR EACH ROW EXECUTE FUNCTION keep_comment_version();
CREATE TRIGGER revise_comment BEFORE UPDATE ON comments FOR EACH ROW
    WHEN ((OLD.task_id, OLD.body, OLD.deleted_at) IS DISTINCT FROM (NEW.task_id, NEW.body, NEW.deleted_at))
    EXECUTE FUNCTION revise_comment();
CREATE TRIGGER record_new_comments AFTER INSERT ON comments REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION record_new_comments();
CREATE TRIGGER record_changed_comments AFTER UPDATE ON comments REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION record_changed_comments();

-- How many comments a task had at an instant.
CREATE FUNCTION comment_count_at(task_id bigint, instant timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM comment_versions AS v
     WHERE v.task_id = $1 AND v.valid_from <= $2 AND v.valid_to > $2 AND v.deleted_at IS NULL
$$;
"""

DOWNGRADE = """
DROP FUNCTION comment_count_at;
DROP TABLE comment_mentions, comment_versions, comments;
DROP FUNCTION refuse_to_rewrite_comments, record_changed_comments, record_new_comments, keep_comment_version,
    revise_comment;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(TRIGGERS)


def downgrade() -> None:
    op.execute(DOWNGRADE)
