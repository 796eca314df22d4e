"""A list of tasks as it is asked for, with its filters, its order and its page; and a single task as it is answered."""

from dataclasses import dataclass
from datetime import datetime

from app.models.tasks.fields import TaskPriority, TaskStatus
from app.queries.pages import DEFAULT_PAGE_SIZE, JsonRow

# What a list may be sorted by; a hyphen in front turns the order round.
SORT_KEYS = ("id", "created_at", "updated_at", "due_at", "priority", "status", "title", "position")
SORT_NAMES = tuple(sign + key for key in SORT_KEYS for sign in ("", "-"))


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """The filters of a list. Empty and None do not filter; a person is an id, a username or `none`."""

    statuses: tuple[TaskStatus, ...] = ()
    priorities: tuple[TaskPriority, ...] = ()
    projects: tuple[str, ...] = ()
    assignee: str | None = None
    creator: str | None = None
    labels: tuple[str, ...] = ()
    due_before: datetime | None = None
    due_after: datetime | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None
    started_before: datetime | None = None
    started_after: datetime | None = None
    completed_before: datetime | None = None
    completed_after: datetime | None = None
    overdue: bool | None = None
    updated_since: datetime | None = None
    q: str | None = None
    deleted: bool = False
    as_of: datetime | None = None
    sort: str = "-updated_at"
    cursor: str | None = None
    limit: int = DEFAULT_PAGE_SIZE
    include_total: bool = False


@dataclass(frozen=True, slots=True)
class TaskView(JsonRow):
    """A task, and the version that its ETag is made from."""

    id: int
    title: str
    version: int
