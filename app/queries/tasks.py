"""The query of a list of tasks (filters, order and page), and a single task as clients see it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from app.models.tasks.fields import TaskPriority, TaskStatus
from app.queries.pages import DEFAULT_PAGE_SIZE, Page, VersionedRow

# A task's id, or its ref in capital letters.
TaskKey = int | str

# The keys that a list may be sorted by. A leading hyphen reverses the order.
SORT_KEYS = ("id", "created_at", "updated_at", "due_at", "priority", "status", "title", "position")
SORT_NAMES = tuple(sign + key for key in SORT_KEYS for sign in ("", "-"))
MAX_SORT_KEYS = 3
DEFAULT_SORT = "-updated_at"

# The fields that hold a name, and can hold an object in its place.
EXPANDABLE = ("project", "creator", "assignee")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which fields of a task an answer has, in the order of `FIELDS`, and which of them are objects instead of names.

    Without `fields` it has all of them.
    """

    fields: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()


WHOLE_TASK = Selection()


@dataclass(frozen=True, slots=True)
class ViewToOpen:
    """A saved view that a query names. Given the parameters that the view has stored, `merged` makes the whole query.

    It raises InvalidError for stored parameters that are no longer valid.
    """

    id: int
    merged: Callable[[Mapping[str, Any]], "TaskQuery"]


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """The filters, order and page of a list. Empty and None do not filter. A person is an id, a name or `none`."""

    statuses: tuple[TaskStatus, ...] = ()
    priorities: tuple[TaskPriority, ...] = ()
    projects: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    external_ref: str | None = None
    assignee: str | None = None
    creator: str | None = None
    labels: tuple[str, ...] = ()
    # An id, a ref in capital letters, or `none`.
    parent: TaskKey | None = None
    # A date means the beginning of that day in the workspace's time zone. Services resolve it.
    due_before: date | datetime | None = None
    due_after: date | datetime | None = None
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
    # True for the tasks of archived projects alone, False for all others. None leaves the archived ones out unless the
    # query names a project or a task.
    archived: bool | None = None
    # Services resolve it to the ids of projects, for a list that shows the present.
    hidden_project_ids: tuple[int, ...] = ()
    archived_project_ids: tuple[int, ...] | None = None
    as_of: datetime | None = None
    # Each is one of SORT_NAMES. The id decides among tasks that are equal in all of them.
    sort: tuple[str, ...] = (DEFAULT_SORT,)
    cursor: str | None = None
    limit: int = DEFAULT_PAGE_SIZE
    include_total: bool = False
    selection: Selection = WHOLE_TASK
    # `SavedViewService.opened` replaces a query with a view by one without.
    view: ViewToOpen | None = None

    @property
    def hides_archived(self) -> bool:
        names_some = bool(self.projects or self.refs or self.parent not in {None, "none"})
        return self.archived is False or (self.archived is None and not names_some)


@dataclass(frozen=True, slots=True)
class BoardColumn:
    """The first tasks of a column of the board. Its `next_cursor` continues the list of this status by position."""

    status: TaskStatus
    page: Page


@dataclass(frozen=True, slots=True)
class TaskView(VersionedRow):
    """A task with its title, which the classic API shows alone, its present ref, and what its answer shows beside its
    own version.
    """

    title: str
    ref: str
    # Comments, subtasks, and subtasks that are done.
    counts: tuple[int, ...]

    @property
    def freshness(self) -> str:
        """Comments and subtasks change the answer but not the task, so they do not outdate what a client has read."""
        return "-".join(map(str, self.counts)) if any(self.counts) else ""

    def new_ref(self, key: TaskKey) -> str | None:
        """The present ref, if the task was found by one that it had in another project."""
        if not isinstance(key, str):
            return None
        project, _, number = key.partition("-")
        # A client may write zeros before the number.
        return None if f"{project}-{int(number)}" == self.ref else self.ref
