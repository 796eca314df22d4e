"""Members who come and go are events. Their subject is the member."""

from alembic import op

revision = "2026_11_29_member_events"
down_revision = "2026_11_29_project_events"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE FUNCTION announce_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event_outbox (kind, project_id, subject_id, actor_id, request_id)
    SELECT TG_ARGV[0], project_id, user_id, acting_user_id(), acting_request_id()
      FROM members ORDER BY project_id, user_id;
    RETURN NULL;
END $$;
CREATE TRIGGER announce_new_members AFTER INSERT ON project_members REFERENCING NEW TABLE AS members
    FOR EACH STATEMENT EXECUTE FUNCTION announce_members('member.added');
CREATE TRIGGER announce_removed_members AFTER DELETE ON project_members REFERENCING OLD TABLE AS members
    FOR EACH STATEMENT EXECUTE FUNCTION announce_members('member.removed');
"""

DOWNGRADE = """
DROP TRIGGER announce_removed_members ON project_members;
DROP TRIGGER announce_new_members ON project_members;
DROP FUNCTION announce_members;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
