"""New and changed projects are events. A project's counter of tasks is not."""

from alembic import op

revision = "2026_11_29_project_events"
down_revision = "2026_11_29_comment_events"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE FUNCTION announce_project() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event_outbox (kind, project_id, actor_id, request_id)
    VALUES (TG_ARGV[0], NEW.id, acting_user_id(), acting_request_id());
    RETURN NULL;
END $$;
CREATE TRIGGER announce_new_project AFTER INSERT ON projects
    FOR EACH ROW EXECUTE FUNCTION announce_project('project.created');
CREATE TRIGGER announce_changed_project AFTER UPDATE ON projects FOR EACH ROW
    WHEN ((OLD.key, OLD.name, OLD.description, OLD.color, OLD.wip_limits, OLD.archived_at)
          IS DISTINCT FROM (NEW.key, NEW.name, NEW.description, NEW.color, NEW.wip_limits, NEW.archived_at))
    EXECUTE FUNCTION announce_project('project.changed');
"""

DOWNGRADE = """
DROP TRIGGER announce_changed_project ON projects;
DROP TRIGGER announce_new_project ON projects;
DROP FUNCTION announce_project;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
