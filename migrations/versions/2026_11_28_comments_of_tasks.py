"""Comments belong to tasks, and tasks count them. A revision of its own locks only the table of tasks."""

from alembic import op

revision = "2026_11_28_comments_of_tasks"
down_revision = "2026_11_28_comments"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE tasks ADD comment_count bigint NOT NULL DEFAULT 0;
ALTER TABLE comments
    ADD CONSTRAINT fk_comments_task_id FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE;

-- Adds to the counts of tasks what a statement has changed in the comments that are not deleted. A count that changes
-- makes no revision of its task: revise_task names the columns that do.
CREATE FUNCTION count_comments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN
            UPDATE tasks AS t SET comment_count = t.comment_count + c.change
              FROM (SELECT task_id, count(*) AS change FROM written WHERE deleted_at IS NULL GROUP BY task_id) AS c
             WHERE t.id = c.task_id;
        WHEN 'DELETE' THEN
            UPDATE tasks AS t SET comment_count = t.comment_count - c.change
              FROM (SELECT task_id, count(*) AS change FROM removed WHERE deleted_at IS NULL GROUP BY task_id) AS c
             WHERE t.id = c.task_id;
        ELSE
            UPDATE tasks AS t SET comment_count = t.comment_count + c.change
              FROM (SELECT task_id, sum(change) AS change
                      FROM (SELECT task_id, 1 AS change FROM written WHERE deleted_at IS NULL
                            UNION ALL
                            SELECT task_id, -1 FROM removed WHERE deleted_at IS NULL) AS each
                     GROUP BY task_id
                    HAVING sum(change) <> 0) AS c
             WHERE t.id = c.task_id;
    END CASE;
    RETURN NULL;
END $$;
CREATE TRIGGER count_new_comments AFTER INSERT ON comments REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION count_comments();
CREATE TRIGGER count_changed_comments AFTER UPDATE ON comments REFERENCING OLD TABLE AS removed NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION count_comments();
CREATE TRIGGER count_removed_comments AFTER DELETE ON comments REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION count_comments();
"""

DOWNGRADE = """
DROP TRIGGER count_removed_comments ON comments;
DROP TRIGGER count_changed_comments ON comments;
DROP TRIGGER count_new_comments ON comments;
DROP FUNCTION count_comments;
ALTER TABLE comments DROP CONSTRAINT fk_comments_task_id;
ALTER TABLE tasks DROP comment_count;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
