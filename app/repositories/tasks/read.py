"""The SQL of the task list: every filter, every sort, by keyset."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session, aliased

from app.auth.actor import Actor
from app.auth.permissions import sees_deleted
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.tasks.fields import ACTIVE_STATUSES, VERSIONED_COLUMNS, TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.models.tasks.version import TaskVersion
from app.queries.pages import Page, decode_cursor, is_integer, is_number, is_text, is_timestamp
from app.queries.tasks import SORT_KEYS, TaskQuery
from app.repositories.pages import count_up_to_max, json_text, page_of
from app.repositories.tasks.write import TASK_FIELDS, TaskEntity, task_fields, visible_to, with_names

_IDLE_HYPHEN = re.compile(r"-(?![\w\"])")


@dataclass(frozen=True, slots=True)
class _Sort:
    key: Any
    is_valid_key: Callable[[str], bool]


def _sorts_of(task: TaskEntity) -> dict[str, _Sort]:
    sorts = {
        "id": _Sort(task.id, is_integer),
        "created_at": _Sort(task.created_at, is_timestamp),
        "updated_at": _Sort(task.updated_at, is_timestamp),
        # Tasks without a deadline come after those that have one.
        "due_at": _Sort(func.coalesce(task.due_at, cast(literal("infinity"), Task.due_at.type)), is_timestamp),
        "priority": _Sort(task.priority, lambda key: key in set(TaskPriority)),
        "status": _Sort(task.status, lambda key: key in set(TaskStatus)),
        "title": _Sort(task.title, is_text),
        "position": _Sort(task.position, is_number),
    }
    return {key: sorts[key] for key in SORT_KEYS}


SORTS = _sorts_of(Task)


class TaskListRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list_page(self, actor: Actor, query: TaskQuery, *, now: datetime) -> Page:
        """List a page, as of `query.as_of` if it is set. Tasks are overdue as of then, or else as of `now`."""
        task: TaskEntity = Task if query.as_of is None else task_as_of(actor, query.as_of)
        conditions = conditions_of(actor, query, query.as_of or now, task)
        sort = (SORTS if query.as_of is None else _sorts_of(task))[query.sort.removeprefix("-")]
        is_descending = query.sort.startswith("-")
        chosen = select(task.id, sort.key.label("key")).where(*conditions)
        if query.cursor is not None:
            position = decode_cursor(query.cursor, query.sort, sort.is_valid_key)
            here = tuple_(sort.key, task.id)
            last = tuple_(cast(literal(position.key, Text), sort.key.type), literal(position.id))
            chosen = chosen.where(here < last if is_descending else here > last)
        order: tuple[Any, ...] = (sort.key.desc(), task.id.desc()) if is_descending else (sort.key, task.id)
        # The page is cut before names are joined, so that only its own rows are joined.
        page = chosen.order_by(*order).limit(query.limit + 1).subquery("page")
        order = (page.c.key.desc(), page.c.id.desc()) if is_descending else (page.c.key, page.c.id)
        fields = TASK_FIELDS if query.as_of is None else task_fields(task)
        statement = with_names(select(json_text(fields), cast(page.c.key, Text), page.c.id), task)
        rows = self._session.execute(statement.join(page, page.c.id == task.id).order_by(*order)).all()
        total = count_up_to_max(self._session, select(task.id).where(*conditions)) if query.include_total else None
        return page_of(rows, limit=query.limit, sort=query.sort, total=total)


def task_as_of(actor: Actor, instant: datetime) -> TaskEntity:
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


def conditions_of(actor: Actor, query: TaskQuery, now: datetime, task: TaskEntity = Task) -> list[ColumnElement[bool]]:
    is_deleted = task.deleted_at.is_not(None) if query.deleted else task.deleted_at.is_(None)
    return [
        visible_to(actor, task),
        is_deleted,
        *_conditions_of_state(query, task),
        *_conditions_of_time(query, now, task),
    ]


def _conditions_of_state(query: TaskQuery, task: TaskEntity) -> Iterator[ColumnElement[bool]]:
    if query.statuses:
        yield task.status.in_(query.statuses)
    if query.priorities:
        yield task.priority.in_(query.priorities)
    if query.projects:
        yield task.project_id.in_(select(Project.id).where(Project.key.in_(query.projects)))
    if query.assignee is not None:
        yield _is_person(task.assignee_id, query.assignee)
    if query.creator is not None:
        yield _is_person(task.creator_id, query.creator)
    if query.labels:
        yield task.labels.contains(list(query.labels))
    if query.q:
        yield task.search.bool_op("@@")(func.websearch_to_tsquery("simple", _searchable(query.q)))


def _conditions_of_time(query: TaskQuery, now: datetime, task: TaskEntity) -> Iterator[ColumnElement[bool]]:
    for column, after, before in (
        (task.due_at, query.due_after, query.due_before),
        (task.created_at, query.created_after, query.created_before),
        (task.started_at, query.started_after, query.started_before),
        (task.completed_at, query.completed_after, query.completed_before),
    ):
        if after is not None:
            yield column >= after
        if before is not None:
            yield column < before
    if query.overdue is not None:
        is_overdue = func.coalesce((task.due_at < now) & task.status.in_(ACTIVE_STATUSES), literal(False))
        yield is_overdue if query.overdue else ~is_overdue
    if query.updated_since is not None:
        yield task.updated_at >= query.updated_since


def _is_person(column: Any, person: str) -> ColumnElement[bool]:
    if person == "none":
        return column.is_(None)  # type: ignore[no-any-return]
    if is_integer(person):
        return column == int(person)  # type: ignore[no-any-return]
    same_name = select(User.id).where(func.lower(User.username) == func.lower(person)).scalar_subquery()
    return column == same_name  # type: ignore[no-any-return]


def _searchable(q: str) -> str:
    """Remove hyphens that exclude nothing: 33 of them before a word overflow PostgreSQL's stack."""
    return _IDLE_HYPHEN.sub(" ", q)
