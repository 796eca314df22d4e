"""Indexes for the sorts and filters of the task list; docs/adr/016 says which have none.

Two of them replace an index each. The release before this one works without those, but its lists by deadline are slow.
"""

from migrations.concurrently import build_index, drop_index

revision = "2026_11_26_list_indexes"
down_revision = "2026_11_25_name_skeletons_uniq"
branch_labels = None
depends_on = None

PRESENT = "WHERE deleted_at IS NULL"
DUE_KEY = "coalesce(due_at, 'infinity'::timestamptz)"
NEW = {
    "ix_tasks_project_id_updated_at": f"tasks (project_id, updated_at, id) {PRESENT}",
    "ix_tasks_assignee_id_updated_at": "tasks (assignee_id, updated_at, id) WHERE assignee_id IS NOT NULL",
    "ix_tasks_assignee_id_due_key": f"tasks (assignee_id, ({DUE_KEY}), id) {PRESENT} AND assignee_id IS NOT NULL",
    "ix_tasks_creator_id_updated_at": f"tasks (creator_id, updated_at, id) {PRESENT}",
    "ix_tasks_due_key": f"tasks (({DUE_KEY}), id)",
    "ix_tasks_created_at": f"tasks (created_at, id) {PRESENT}",
    "ix_tasks_position": f"tasks (position, id) {PRESENT}",
    "ix_tasks_priority": f"tasks (priority, id) {PRESENT}",
    "ix_tasks_status": f"tasks (status, id) {PRESENT}",
    "ix_tasks_completed_at": f"tasks (completed_at) {PRESENT} AND completed_at IS NOT NULL",
    "ix_tasks_started_at": f"tasks (started_at) {PRESENT} AND started_at IS NOT NULL",
    "ix_tasks_labels": "tasks USING gin (labels)",
    "ix_tasks_updated_at_deleted": "tasks (updated_at, id) WHERE deleted_at IS NOT NULL",
}
REPLACED = {
    "ix_tasks_assignee_id": "tasks (assignee_id) WHERE assignee_id IS NOT NULL",
    "ix_tasks_due_at": "tasks (due_at) WHERE deleted_at IS NULL AND due_at IS NOT NULL",
}


def upgrade() -> None:
    for name, definition in NEW.items():
        build_index(name, definition)
    for name in REPLACED:
        drop_index(name)


def downgrade() -> None:
    for name, definition in REPLACED.items():
        build_index(name, definition)
    for name in NEW:
        drop_index(name)
