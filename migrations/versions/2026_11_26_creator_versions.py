"""A change of a task's creator makes a version, like a change of any other field. A merge of users changes creators."""

from alembic import op

revision = "2026_11_26_creator_versions"
down_revision = "2026_11_26_merged_users"
branch_labels = None
depends_on = None

TRIGGER = """
CREATE OR REPLACE TRIGGER revise_task BEFORE UPDATE ON tasks FOR EACH ROW
    WHEN ((OLD.project_id, OLD.number, OLD.title, OLD.description, OLD.status, OLD.priority, OLD.labels,
           {old}OLD.assignee_id, OLD.due_at, OLD.external_ref, OLD.created_at, OLD.started_at, OLD.completed_at,
           OLD.deleted_at)
      IS DISTINCT FROM
          (NEW.project_id, NEW.number, NEW.title, NEW.description, NEW.status, NEW.priority, NEW.labels,
           {new}NEW.assignee_id, NEW.due_at, NEW.external_ref, NEW.created_at, NEW.started_at, NEW.completed_at,
           NEW.deleted_at))
    EXECUTE FUNCTION revise_task();
"""


def upgrade() -> None:
    op.execute(TRIGGER.format(old="OLD.creator_id, ", new="NEW.creator_id, "))


def downgrade() -> None:
    op.execute(TRIGGER.format(old="", new=""))
