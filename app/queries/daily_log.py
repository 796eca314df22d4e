"""The query of the daily log: which rows, and which page of them."""

from dataclasses import dataclass
from datetime import date

from app.models.tasks.fields import TaskStatus
from app.queries.pages import DEFAULT_PAGE_SIZE


@dataclass(frozen=True, slots=True)
class TaskLogQuery:
    """The log rows to list. A filter that is None is not applied."""

    on: date | None = None
    since: date | None = None
    until: date | None = None
    task_id: int | None = None
    status: TaskStatus | None = None
    project: str | None = None
    # A username, or `none`.
    assignee: str | None = None
    cursor: str | None = None
    limit: int = DEFAULT_PAGE_SIZE
    include_total: bool = False


@dataclass(frozen=True, slots=True)
class NumberedLogQuery:
    """A page of the log by its number, of one day or of all days."""

    page: int
    per_page: int
    on: date | None = None
