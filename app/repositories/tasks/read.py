"""The SQL of the task list: every filter, every sort, by keyset."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, cast, func, select, tuple_
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session, aliased

from app.auth.actor import Actor
from app.auth.permissions import sees_deleted
from app.database.prepared import Prepared, parameter
from app.models.tasks.fields import VERSIONED_COLUMNS, TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.models.tasks.version import TaskVersion
from app.queries.pages import Page, decode_cursor, is_integer, is_number, is_text, is_timestamp
from app.queries.tasks import SORT_KEYS, TaskQuery
from app.repositories.pages import counted_up_to_max, json_text, page_of, total_of
from app.repositories.scope import anybody_like, scope_parameters
from app.repositories.tasks.filters import FILTERS, due_key, filter_values
from app.repositories.tasks.rows import TaskEntity, is_deleted, task_fields, visible_to, with_names

# The statements that a process keeps. Common lists have a few dozen shapes.
MAX_SHAPES = 256


@dataclass(frozen=True, slots=True)
class _Sort:
    key: Any
    is_valid_key: Callable[[str], bool]


def _sorts_of(task: TaskEntity) -> dict[str, _Sort]:
    sorts = {
        "id": _Sort(task.id, is_integer),
        "created_at": _Sort(task.created_at, is_timestamp),
        "updated_at": _Sort(task.updated_at, is_timestamp),
        "due_at": _Sort(due_key(task), is_timestamp),
        "priority": _Sort(task.priority, lambda key: key in set(TaskPriority)),
        "status": _Sort(task.status, lambda key: key in set(TaskStatus)),
        "title": _Sort(task.title, is_text),
        "position": _Sort(task.position, is_number),
    }
    return {key: sorts[key] for key in SORT_KEYS}


SORTS = _sorts_of(Task)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What decides the text of a list's statement. Everything else is a parameter."""

    actor: Actor
    filters: tuple[str, ...]
    is_deleted: bool
    is_as_of: bool
    sort: str
    has_cursor: bool


class TaskListRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list_page(self, actor: Actor, query: TaskQuery, *, now: datetime) -> Page:
        """List a page, as of `query.as_of` if it is set. Tasks are overdue as of then, or else as of `now`."""
        filters = filter_values(self._session, query, query.as_of or now)
        is_as_of, has_cursor = query.as_of is not None, query.cursor is not None
        shape = _Shape(anybody_like(actor), tuple(filters), query.deleted, is_as_of, query.sort, has_cursor)
        values = {**filters, **scope_parameters(actor), "as_of": query.as_of, "rows": query.limit + 1}
        if query.cursor is not None:
            position = decode_cursor(query.cursor, query.sort, SORTS[query.sort.removeprefix("-")].is_valid_key)
            first_id = position.id - 1 if query.sort.startswith("-") else position.id + 1
            values |= {"first_key": position.key, "first_id": first_id}
        rows = _page(shape).rows(self._session, values)
        total = total_of(_count(shape).rows(self._session, values)[0][0]) if query.include_total else None
        return page_of(rows, limit=query.limit, sort=query.sort, total=total)


@lru_cache(maxsize=MAX_SHAPES)
def _page(shape: _Shape) -> Prepared:
    task, conditions = _task_and_conditions(shape)
    key = (_sorts_of(task) if shape.is_as_of else SORTS)[shape.sort.removeprefix("-")].key
    is_descending = shape.sort.startswith("-")
    columns = [getattr(task, name) for name in ("id", "updated_at", *VERSIONED_COLUMNS)]
    chosen = select(*columns, key.label("sort_key")).where(*conditions)
    if shape.has_cursor:
        here = tuple_(key, task.id)
        first = tuple_(cast(parameter("first_key", Text), key.type), parameter("first_id", BigInteger))
        # PostgreSQL estimates the rows from the key alone. With `<` and `>` it would expect none from among equal keys,
        # such as tasks without a deadline, and would read all of those in search of a few.
        chosen = chosen.where(here <= first if is_descending else here >= first)
    order: tuple[Any, ...] = (key.desc(), task.id.desc()) if is_descending else (key, task.id)
    # The page is cut before names are joined, so that only its own rows are joined.
    page = chosen.order_by(*order).limit(parameter("rows", BigInteger)).subquery("page")
    row: TaskEntity = aliased(Task, page, adapt_on_names=True)
    order = (page.c.sort_key.desc(), page.c.id.desc()) if is_descending else (page.c.sort_key, page.c.id)
    statement = with_names(select(json_text(task_fields(row)), cast(page.c.sort_key, Text), page.c.id), row)
    return Prepared(statement.order_by(*order))


@lru_cache(maxsize=MAX_SHAPES)
def _count(shape: _Shape) -> Prepared:
    task, conditions = _task_and_conditions(shape)
    return Prepared(counted_up_to_max(select(task.id).where(*conditions)))


def _task_and_conditions(shape: _Shape) -> tuple[TaskEntity, list[ColumnElement[bool]]]:
    task: TaskEntity = task_as_of(shape.actor, parameter("as_of", Task.updated_at.type)) if shape.is_as_of else Task
    return task, conditions_of(shape.actor, shape.filters, task, deleted=shape.is_deleted)


def conditions_of(
    actor: Actor, filters: Iterable[str], task: TaskEntity = Task, *, deleted: bool
) -> list[ColumnElement[bool]]:
    """The conditions on the tasks of a list. `filters` are the keys of `filter_values`."""
    used = [FILTERS[name].condition(task) for name in filters if name in FILTERS]
    return [visible_to(actor, task), is_deleted(deleted, task), *used]


def task_as_of(actor: Actor, instant: ColumnElement[datetime]) -> TaskEntity:
    """A stand-in for Task that has each task's version at this instant; `updated_at` is when that version began.

    If a task is deleted now, actors who do not see deleted tasks get only the fields that the daily log keeps.

    The search column is the task's own if its text is still the same, which is usual. Computing the column from the
    text of each version takes ten times as long as everything else.
    """
    version, now = TaskVersion, aliased(Task, name="task_now")
    hidden = {} if sees_deleted(actor) else {"description": "", "labels": array([], type_=Text), "external_ref": None}
    columns: dict[str, Any] = {name: getattr(version, name) for name in VERSIONED_COLUMNS}
    exists_now = now.id.is_not(None) & now.deleted_at.is_(None)
    columns |= {name: case((exists_now, columns[name]), else_=default) for name, default in hidden.items()}
    has_same_text = (now.title == columns["title"]) & (now.description == columns["description"])
    computed_search = func.to_tsvector("simple", columns["title"] + " " + columns["description"])
    then = (
        select(
            version.task_id.label("id"),
            version.valid_from.label("updated_at"),
            *(column.label(name) for name, column in columns.items()),
            case((has_same_text, now.search), else_=computed_search).label("search"),
        )
        # A task that was removed for good has only its history. PostgreSQL drops the join if no column needs it.
        .outerjoin_from(version, now, now.id == version.task_id)
        .where(version.valid_from <= instant, version.valid_to > instant)
        .subquery("task_then")
    )
    return aliased(Task, then, adapt_on_names=True)
