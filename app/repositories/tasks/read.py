"""The SQL of the task list: every filter, every sort, by keyset."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import orjson
from sqlalchemy import BigInteger, ColumnElement, Text, and_, case, cast, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session, aliased

from app.auth.actor import Actor
from app.auth.permissions import sees_deleted
from app.database.prepared import Prepared, parameter
from app.models.tasks.fields import VERSIONED_COLUMNS, TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.models.tasks.version import TaskVersion
from app.queries.pages import Page, Position, decode_cursor, is_integer, is_number, is_text, is_timestamp
from app.queries.tasks import SORT_KEYS, Selection, TaskQuery
from app.repositories.pages import counted_up_to_max, json_text, page_of, total_of
from app.repositories.scope import anybody_like, scope_parameters
from app.repositories.tasks.filters import FILTERS, due_key, filter_values
from app.repositories.tasks.rows import (
    AS_OF,
    TaskEntity,
    is_deleted,
    task_fields,
    visible_to,
    with_names,
    with_subtasks,
)

# The statements that a process keeps. Common lists have a few dozen shapes.
MAX_SHAPES = 256


@dataclass(frozen=True, slots=True)
class _Sort:
    key: Any
    is_valid_key: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Step:
    """One key of an order, and the parameter that has its value at the beginning of a page."""

    key: Any
    is_descending: bool
    first: Any


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
    sort: tuple[str, ...]
    has_cursor: bool
    selection: Selection


class TaskListRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list_page(self, actor: Actor, query: TaskQuery, *, now: datetime) -> Page:
        """List a page, as of `query.as_of` if it is set. Tasks are overdue as of then, or else as of `now`."""
        filters = filter_values(self._session, query, query.as_of or now)
        sort = ",".join(query.sort)
        shape = _Shape(
            actor=anybody_like(actor),
            filters=tuple(filters),
            is_deleted=query.deleted,
            is_as_of=query.as_of is not None,
            sort=query.sort,
            has_cursor=query.cursor is not None,
            selection=query.selection,
        )
        values = {**filters, **scope_parameters(actor), "as_of": query.as_of, "rows": query.limit + 1}
        if query.cursor is not None:
            values |= _values_at(decode_cursor(query.cursor, sort, partial(_are_valid_keys, query.sort)), query.sort)
        rows = _page(shape).rows(self._session, values)
        total = total_of(_count(shape).rows(self._session, values)[0][0]) if query.include_total else None
        return page_of(rows, limit=query.limit, sort=sort, total=total)


@lru_cache(maxsize=MAX_SHAPES)
def _page(shape: _Shape) -> Prepared:
    task, conditions = _task_and_conditions(shape)
    steps = _steps_of(shape.sort, task)
    columns = [getattr(task, name) for name in ("id", "updated_at", "comment_count", *VERSIONED_COLUMNS)]
    keys = {f"sort_key_{n}": step.key for n, step in enumerate(steps[:-1], start=1)}
    chosen = select(*columns, *(key.label(name) for name, key in keys.items())).where(*conditions)
    if shape.has_cursor:
        chosen = chosen.where(_is_from_first_on(steps))
    chosen = chosen.order_by(*_ordered([step.key for step in steps], steps))
    # The page is cut before names are joined, so that only its own rows are joined.
    page = chosen.limit(parameter("rows", BigInteger)).subquery("page")
    row: TaskEntity = aliased(Task, page, adapt_on_names=True)
    keys_of_page = [page.c[name] for name in keys]
    fields = task_fields(row, shape.selection, is_as_of=shape.is_as_of)
    statement = with_names(select(json_text(fields), _printed(keys_of_page), page.c.id), row)
    statement = with_subtasks(statement, row, shape.selection, is_as_of=shape.is_as_of)
    return Prepared(statement.order_by(*_ordered([*keys_of_page, page.c.id], steps)))


def _steps_of(sort: tuple[str, ...], task: TaskEntity) -> list[_Step]:
    """The last step is the id, in the direction of the step before."""
    sorts = SORTS if task is Task else _sorts_of(task)
    steps = []
    for n, name in enumerate(sort, start=1):
        key = sorts[name.removeprefix("-")].key
        steps.append(_Step(key, name.startswith("-"), cast(parameter(f"first_key_{n}", Text), key.type)))
    return [*steps, _Step(task.id, steps[-1].is_descending, parameter("first_id", BigInteger))]


def _is_from_first_on(steps: Sequence[_Step]) -> ColumnElement[bool]:
    """The condition that a row is the first one or comes after it.

    PostgreSQL estimates the rows from the first key alone. With `<` and `>` it would expect none from among equal keys,
    such as tasks without a deadline, and would read all of those in search of a few.
    """
    step = steps[0]
    if len({each.is_descending for each in steps}) == 1:
        here, first = tuple_(*(each.key for each in steps)), tuple_(*(each.first for each in steps))
        return here <= first if step.is_descending else here >= first
    is_not_before, is_after = (
        (step.key <= step.first, step.key < step.first)
        if step.is_descending
        else (step.key >= step.first, step.key > step.first)
    )
    return and_(is_not_before, or_(is_after, _is_from_first_on(steps[1:])))


def _ordered(keys: Sequence[Any], steps: Sequence[_Step]) -> list[Any]:
    return [key.desc() if step.is_descending else key for key, step in zip(keys, steps, strict=True)]


def _printed(keys: Sequence[Any]) -> ColumnElement[str]:
    """The keys of a row as a cursor holds them: a single key as PostgreSQL prints it, several as a JSON array."""
    texts = [cast(key, Text) for key in keys]
    return texts[0] if len(texts) == 1 else cast(func.json_build_array(*texts), Text)


def _read(sort: tuple[str, ...], printed: str) -> list[Any]:
    """Raises ValueError if several keys are expected, and the text is not JSON."""
    keys: list[Any] = [printed] if len(sort) == 1 else orjson.loads(printed)
    return keys


def _are_valid_keys(sort: tuple[str, ...], printed: str) -> bool:
    try:
        keys = _read(sort, printed)
    except ValueError:
        return False
    return (
        isinstance(keys, list)
        and len(keys) == len(sort)
        and all(
            isinstance(key, str) and SORTS[name.removeprefix("-")].is_valid_key(key)
            for name, key in zip(sort, keys, strict=True)
        )
    )


def _values_at(position: Position, sort: tuple[str, ...]) -> dict[str, Any]:
    """The parameters of the steps, for a page that begins after this position."""
    keys = {f"first_key_{n}": key for n, key in enumerate(_read(sort, position.key), start=1)}
    return {**keys, "first_id": position.id - 1 if sort[-1].startswith("-") else position.id + 1}


@lru_cache(maxsize=MAX_SHAPES)
def _count(shape: _Shape) -> Prepared:
    task, conditions = _task_and_conditions(shape)
    return Prepared(counted_up_to_max(select(task.id).where(*conditions)))


def _task_and_conditions(shape: _Shape) -> tuple[TaskEntity, list[ColumnElement[bool]]]:
    task: TaskEntity = task_as_of(shape.actor, AS_OF) if shape.is_as_of else Task
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
            # PostgreSQL calls the function for the rows of a page only, after it has sorted them.
            func.comment_count_at(version.task_id, instant).label("comment_count"),
            *(column.label(name) for name, column in columns.items()),
            case((has_same_text, now.search), else_=computed_search).label("search"),
        )
        # A task that was removed for good has only its history. PostgreSQL drops the join if no column needs it.
        .outerjoin_from(version, now, now.id == version.task_id)
        .where(version.valid_from <= instant, version.valid_to > instant)
        .subquery("task_then")
    )
    return aliased(Task, then, adapt_on_names=True)
