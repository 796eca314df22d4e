"""The task fields that an import may change, each with its value in the batch, its value in a task, and its update."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpdatableField:
    """SQL expressions: `b` is a row of import_batch, `t` a row of tasks, `u` the task's assignee in users."""

    name: str
    in_batch: str
    in_task: str
    # The SET clause that takes the field over from the batch.
    setter: str


_STATUS_SETTER = """status = b.status,
    started_at = CASE WHEN b.status = 'in_progress' THEN coalesce(t.started_at, :now) ELSE t.started_at END,
    completed_at = CASE WHEN b.status IN ('done', 'cancelled') THEN coalesce(t.completed_at, :now) END"""

UPDATABLE_FIELDS = (
    UpdatableField("title", "b.title", "t.title", "title = b.title"),
    UpdatableField("description", "b.description", "t.description", "description = b.description"),
    UpdatableField("status", "b.status", "t.status", _STATUS_SETTER),
    UpdatableField("priority", "b.priority", "t.priority", "priority = b.priority"),
    UpdatableField("due_at", "b.due_at", "t.due_at", "due_at = b.due_at"),
    UpdatableField("labels", "b.labels", "t.labels", "labels = b.labels"),
    # Compared by name: a file that is only checked creates no users, so an assignee may have no id yet.
    UpdatableField("assignee", "b.assignee_name", "lower(u.username)", "assignee_id = b.assignee_id"),
)


def updatable_fields(columns: frozenset[str]) -> list[UpdatableField]:
    """The fields that a file with these columns may change, in the order of the table above."""
    return [field for field in UPDATABLE_FIELDS if field.name in columns]
