"""An item of a request that changes many tasks, and its result."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.errors import FieldProblem, TaskTrackerError
from app.models.tasks.task import Task
from app.queries.tasks import TaskKey


class Verb(StrEnum):
    """The ways to change a task. Each value is the name of the field of an item."""

    PATCH = "patch"
    MOVE = "move"
    DELETE = "delete"
    RESTORE = "restore"
    ADD_LABELS = "add_labels"
    REMOVE_LABELS = "remove_labels"
    ASSIGN = "assign"


@dataclass(frozen=True, slots=True)
class BulkItem:
    """One task and what happens to it: the changes of a patch, a move, labels, or the name of an assignee."""

    key: TaskKey
    verb: Verb
    value: Any = None
    # The text of If-Match for this task.
    if_match: str | None = None


@dataclass(slots=True)
class Outcome:
    """The result of an item: the task's ref and version, or the error that refused it."""

    item: BulkItem
    task: Task | None = None
    was_active: bool = False
    # The project that the task was in.
    project_id: int = 0
    error: TaskTrackerError | None = None
    ref: str = ""
    version: int = 0
    is_changed: bool = False

    @property
    def has_closed(self) -> bool:
        return self.task is not None and self.was_active and not self.task.is_active and self.task.deleted_at is None

    @property
    def has_moved(self) -> bool:
        """True if the task is in another project."""
        return self.task is not None and self.task.project_id != self.project_id

    @property
    def is_deleted(self) -> bool:
        return self.item.verb is Verb.DELETE

    @property
    def is_restored(self) -> bool:
        return self.item.verb is Verb.RESTORE

    @property
    def changes_parent(self) -> bool:
        return self.item.verb is Verb.PATCH and "parent" in self.item.value


def within(item: BulkItem, error: TaskTrackerError) -> TaskTrackerError:
    """The error, with pointers into the item instead of its changes."""
    has_fields = item.verb in {Verb.PATCH, Verb.MOVE}
    error.problems = tuple(
        FieldProblem(f"/{item.verb.value}{problem.pointer if has_fields else ''}", problem.detail)
        for problem in error.problems
    )
    return error
