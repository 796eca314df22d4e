"""The comments on tasks of archived projects are read-only, whoever writes them. See docs/adr/032."""

from alembic import op

revision = "2026_11_28_read_only_comments"
down_revision = "2026_11_28_views_of_projects"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE FUNCTION ensure_comment_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ensure_projects_are_open(ARRAY(SELECT project_id FROM tasks WHERE id = NEW.task_id));
    RETURN NULL;
END $$;
CREATE TRIGGER ensure_new_comment_is_open AFTER INSERT ON comments
    FOR EACH ROW EXECUTE FUNCTION ensure_comment_is_open();
-- A merge of users changes only the author, and reaches old comments too.
CREATE TRIGGER ensure_changed_comment_is_open AFTER UPDATE ON comments FOR EACH ROW
    WHEN ((OLD.task_id, OLD.body, OLD.deleted_at) IS DISTINCT FROM (NEW.task_id, NEW.body, NEW.deleted_at))
    EXECUTE FUNCTION ensure_comment_is_open();
"""
DOWNGRADE = """
DROP TRIGGER ensure_changed_comment_is_open ON comments;
DROP TRIGGER ensure_new_comment_is_open ON comments;
DROP FUNCTION ensure_comment_is_open;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
