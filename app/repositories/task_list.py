"""The SQL of the task list: every filter, every sort, by keyset."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func, literal, select, tuple_
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.project import Project
from app.models.task import ACTIVE_STATUSES, Task, TaskPriority, TaskStatus
from app.models.user import User
from app.repositories.pages import (
    DEFAULT_PAGE_SIZE,
    Page,
    decode_cursor,
    is_integer,
    is_number,
    is_text,
    is_timestamp,
    json_object,
    page_of,
)
from app.repositories.tasks import TASK_FIELDS, visible_to, with_names


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """What to list. Empty and None mean "whatever"; a person is an id, a username or `none`."""

    statuses: tuple[TaskStatus, ...] = ()
    priorities: tuple[TaskPriority, ...] = ()
    projects: tuple[str, ...] = ()
    assignee: str | None = None
    creator: str | None = None
    labels: tuple[str, ...] = ()
    due_before: datetime | None = None
    due_after: datetime | None = None
    overdue: bool | None = None
    updated_since: datetime | None = None
    q: str | None = None
    deleted: bool = False
    sort: str = "-updated_at"
    cursor: str | None = None
    limit: int = DEFAULT_PAGE_SIZE
    include_total: bool = False


@dataclass(frozen=True, slots=True)
class _Sort:
    key: ColumnElement[Any]
    is_valid_key: Callable[[str], bool]


SORTS: dict[str, _Sort] = {
    "id": _Sort(Task.id.expression, is_integer),
    "created_at": _Sort(Task.created_at.expression, is_timestamp),
    "updated_at": _Sort(Task.updated_at.expression, is_timestamp),
    # What has no deadline comes after everything that has one.
    "due_at": _Sort(func.coalesce(Task.due_at, cast(literal("infinity"), Task.due_at.type)), is_timestamp),
    "priority": _Sort(Task.priority.expression, lambda key: key in set(TaskPriority)),
    "status": _Sort(Task.status.expression, lambda key: key in set(TaskStatus)),
    "title": _Sort(Task.title.expression, is_text),
    "position": _Sort(Task.position.expression, is_number),
}
SORT_NAMES = tuple(sign + name for name in SORTS for sign in ("", "-"))


class TaskListRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list_page(self, actor: Actor, query: TaskQuery, *, now: datetime) -> Page:
        conditions = conditions_of(actor, query, now)
        sort = SORTS[query.sort.removeprefix("-")]
        is_descending = query.sort.startswith("-")
        chosen = select(Task.id, sort.key.label("key")).where(*conditions)
        if query.cursor is not None:
            position = decode_cursor(query.cursor, query.sort, sort.is_valid_key)
            here = tuple_(sort.key, Task.id)
            last = tuple_(cast(literal(position.key, Text), sort.key.type), literal(position.id))
            chosen = chosen.where(here < last if is_descending else here > last)
        order: tuple[Any, ...] = (sort.key.desc(), Task.id.desc()) if is_descending else (sort.key, Task.id)
        # The page is cut before names are joined to it, so that no join is made for rows that nobody will see.
        page = chosen.order_by(*order).limit(query.limit + 1).subquery("page")
        order = (page.c.key.desc(), page.c.id.desc()) if is_descending else (page.c.key, page.c.id)
        statement = with_names(select(json_object(TASK_FIELDS), cast(page.c.key, Text), page.c.id))
        rows = self._session.execute(statement.join(page, page.c.id == Task.id).order_by(*order)).all()
        total = self._count(conditions) if query.include_total else None
        return page_of(rows, limit=query.limit, sort=query.sort, total=total)

    def _count(self, conditions: list[ColumnElement[bool]]) -> int:
        return self._session.scalar(select(func.count()).select_from(Task).where(*conditions)) or 0


def conditions_of(actor: Actor, query: TaskQuery, now: datetime) -> list[ColumnElement[bool]]:
    is_deleted = Task.deleted_at.is_not(None) if query.deleted else Task.deleted_at.is_(None)
    return [visible_to(actor), is_deleted, *_conditions_of_state(query), *_conditions_of_time(query, now)]


def _conditions_of_state(query: TaskQuery) -> Iterator[ColumnElement[bool]]:
    if query.statuses:
        yield Task.status.in_(query.statuses)
    if query.priorities:
        yield Task.priority.in_(query.priorities)
    if query.projects:
        yield Task.project_id.in_(select(Project.id).where(Project.key.in_(query.projects)))
    if query.assignee is not None:
        yield _is_person(Task.assignee_id, query.assignee)
    if query.creator is not None:
        yield _is_person(Task.creator_id, query.creator)
    if query.labels:
        yield Task.labels.contains(list(query.labels))
    if query.q:
        yield Task.search.bool_op("@@")(func.websearch_to_tsquery("simple", query.q))


def _conditions_of_time(query: TaskQuery, now: datetime) -> Iterator[ColumnElement[bool]]:
    if query.due_before is not None:
        yield Task.due_at < query.due_before
    if query.due_after is not None:
        yield Task.due_at >= query.due_after
    if query.overdue is not None:
        is_overdue = func.coalesce((Task.due_at < now) & Task.status.in_(ACTIVE_STATUSES), literal(False))
        yield is_overdue if query.overdue else ~is_overdue
    if query.updated_since is not None:
        yield Task.updated_at >= query.updated_since


def _is_person(column: Any, person: str) -> ColumnElement[bool]:
    if person == "none":
        return column.is_(None)  # type: ignore[no-any-return]
    if is_integer(person):
        return column == int(person)  # type: ignore[no-any-return]
    same_name = select(User.id).where(func.lower(User.username) == func.lower(person)).scalar_subquery()
    return column == same_name  # type: ignore[no-any-return]
