"""Indexes for the subtasks of a task, now and in the past, and for the tasks that recur."""

from migrations.concurrently import build_index, drop_index

revision = "2026_11_28_subtask_indexes"
down_revision = "2026_11_28_task_planning"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_tasks_parent_id": "tasks (parent_id, id) WHERE parent_id IS NOT NULL",
    "ix_tasks_recurring": "tasks (due_at, id) WHERE recurrence IS NOT NULL AND deleted_at IS NULL",
    "ix_task_history_parent_id": "task_history (parent_id) WHERE parent_id IS NOT NULL",
}


def upgrade() -> None:
    for name, definition in INDEXES.items():
        build_index(name, definition)


def downgrade() -> None:
    for name in reversed(INDEXES):
        drop_index(name)
