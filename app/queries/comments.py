"""The query of a task's comments: which of them, as of when, their order and page."""

from dataclasses import dataclass
from datetime import datetime

from app.queries.pages import DEFAULT_PAGE_SIZE

COMMENT_SORTS = ("created_at", "-created_at")


@dataclass(frozen=True, slots=True)
class CommentQuery:
    deleted: bool = False
    as_of: datetime | None = None
    # One of COMMENT_SORTS. The id decides among comments of the same instant, in the same direction.
    sort: str = "created_at"
    cursor: str | None = None
    limit: int = DEFAULT_PAGE_SIZE


@dataclass(frozen=True, slots=True)
class LockedTask:
    """The task of a comment that is being written."""

    id: int
    project_id: int


@dataclass(frozen=True, slots=True)
class LockedComment:
    """A comment that is being changed."""

    id: int
    author_id: int
    body: str
    version: int
