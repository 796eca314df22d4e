"""The filters of a list of tasks: for each, the value that a query gives it and the condition that it sets."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ScalarSelect,
    Text,
    all_,
    cast,
    func,
    literal,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from app.database.prepared import Prepared, is_among, parameter
from app.models.projects.project import Project, ProjectArchival
from app.models.tasks.fields import ACTIVE_STATUSES
from app.models.tasks.former_ref import FormerRef
from app.models.tasks.task import Task
from app.queries.pages import is_integer
from app.queries.tasks import TaskQuery
from app.repositories.people import id_of_name
from app.repositories.tasks.rows import TaskEntity
from app.repositories.tasks.search import as_tsquery

_NEVER = cast(literal("infinity"), Task.due_at.type)


@dataclass(frozen=True, slots=True)
class _Filter:
    # The value of the filter's parameter, which has the filter's name. None if the query does not use the filter.
    value: Callable[[TaskQuery], object]
    condition: Callable[[TaskEntity], ColumnElement[bool]]
    # For names of rows of another table: their ids, which the parameter gets in place of the names. PostgreSQL knows
    # how many tasks an id has. For a name it would assume the average, and read every task in search of a rare one.
    ids: ScalarSelect[Any] | None = None


def _of_person(name: str, column_name: str) -> dict[str, _Filter]:
    """A person is named by an id, a username or an email address, or is `none`."""

    def person(query: TaskQuery) -> str | None:
        person: str | None = getattr(query, name)
        return person

    def id_of(query: TaskQuery) -> int | None:
        text = person(query)
        return int(text) if text is not None and is_integer(text) else None

    def username_of(query: TaskQuery) -> str | None:
        text = person(query)
        return None if text is None or text == "none" or is_integer(text) else text

    id_of_person = select(id_of_name(parameter(f"{name}_username", Text))).scalar_subquery()

    return {
        f"{name}_none": _Filter(
            lambda query: True if person(query) == "none" else None, lambda task: getattr(task, column_name).is_(None)
        ),
        f"{name}_id": _Filter(id_of, lambda task: getattr(task, column_name) == parameter(f"{name}_id", BigInteger)),
        f"{name}_username": _Filter(
            username_of,
            lambda task: getattr(task, column_name) == parameter(f"{name}_username", BigInteger),
            id_of_person,
        ),
    }


def _of_time(column_name: str, after: str, before: str | None = None) -> dict[str, _Filter]:
    """Times from `after` on, and times earlier than `before`."""
    filters = {}
    filters[after] = _Filter(
        lambda query: getattr(query, after),
        lambda task: getattr(task, column_name) >= parameter(after, Task.updated_at.type),
    )
    if before is not None:
        filters[before] = _Filter(
            lambda query: getattr(query, before),
            lambda task: getattr(task, column_name) < parameter(before, Task.updated_at.type),
        )
    return filters


def due_key(task: TaskEntity) -> ColumnElement[datetime]:
    """The deadline as lists sort and search it, by an index on this expression. A task without one comes last."""
    return func.coalesce(task.due_at, _NEVER)


def _is_due_after(task: TaskEntity) -> ColumnElement[bool]:
    return (due_key(task) >= parameter("due_after", Task.due_at.type)) & (due_key(task) < _NEVER)


def _is_due_before(task: TaskEntity) -> ColumnElement[bool]:
    return due_key(task) < parameter("due_before", Task.due_at.type)


def _is_overdue(task: TaskEntity) -> ColumnElement[bool]:
    return (due_key(task) < parameter("now", Task.due_at.type)) & task.status.in_(ACTIVE_STATUSES)


def _of_statuses() -> dict[str, _Filter]:
    """One status has a condition of its own, as one project has: the two together are a column of the board."""
    return {
        "status": _Filter(
            lambda query: query.statuses[0] if len(query.statuses) == 1 else None,
            lambda task: task.status == parameter("status", task.status.type),
        ),
        "statuses": _Filter(
            lambda query: list(query.statuses) if len(query.statuses) > 1 else None,
            lambda task: is_among(task.status, "statuses"),
        ),
    }


def _of_projects() -> dict[str, _Filter]:
    """One project has a condition of its own: an index returns its tasks in order, but not those of several."""
    of_key = select(Project.id).where(Project.key == parameter("project", Text))
    of_keys = select(Project.id).where(is_among(Project.key, "projects"))
    return {
        "project": _Filter(
            lambda query: query.projects[0] if len(query.projects) == 1 else None,
            lambda task: task.project_id == parameter("project", BigInteger),
            of_key.scalar_subquery(),
        ),
        "projects": _Filter(
            lambda query: list(query.projects) if len(query.projects) > 1 else None,
            lambda task: is_among(task.project_id, "projects"),
            select(func.array(of_keys.scalar_subquery())).scalar_subquery(),
        ),
    }


def _is_outside(task: TaskEntity, name: str) -> ColumnElement[bool]:
    """PostgreSQL sees the ids. From a query for them it would expect that nearly every task is in one of them."""
    return task.project_id != all_(parameter(name, ARRAY(BigInteger)))


def _archived_at(name: str) -> ScalarSelect[Any]:
    """The projects that were archived at the instant in this parameter."""
    instant = parameter(name, ProjectArchival.archived_at.type)
    ids = select(ProjectArchival.project_id).where(
        ProjectArchival.archived_at <= instant, ProjectArchival.restored_at > instant
    )
    return select(func.array(ids.scalar_subquery())).scalar_subquery()


def _of_archived() -> dict[str, _Filter]:
    """Archived projects are resolved already for the present, and are looked up for an instant in the past."""
    return {
        "hidden_projects": _Filter(
            lambda query: list(query.hidden_project_ids) or None, lambda task: _is_outside(task, "hidden_projects")
        ),
        "archived_projects": _Filter(
            lambda query: None if query.archived_project_ids is None else list(query.archived_project_ids),
            lambda task: is_among(task.project_id, "archived_projects"),
        ),
        "hidden_then": _Filter(
            lambda query: query.as_of if query.hides_archived else None,
            lambda task: _is_outside(task, "hidden_then"),
            _archived_at("hidden_then"),
        ),
        "archived_then": _Filter(
            lambda query: query.as_of if query.archived else None,
            lambda task: is_among(task.project_id, "archived_then"),
            _archived_at("archived_then"),
        ),
    }


def _matches(task: TaskEntity) -> ColumnElement[bool]:
    return task.search.bool_op("@@")(func.to_tsquery("simple", parameter("q", Text)))


def _has_ref(task: TaskEntity) -> ColumnElement[bool]:
    """A task is found by each ref that it has or had. In the past it is found by the ref of that time alone."""
    refs = func.unnest(parameter("refs", ARRAY(Text))).column_valued("ref")
    number = cast(func.split_part(refs, "-", 2), BigInteger)
    named = select(Project.id, number).where(Project.key == func.split_part(refs, "-", 1)).correlate(None)
    if task is not Task:
        return tuple_(task.project_id, task.number).in_(named)
    now = aliased(Task, name="task_with_ref")
    ids = union_all(
        select(now.id).where(tuple_(now.project_id, now.number).in_(named)),
        select(FormerRef.task_id).where(tuple_(FormerRef.project_id, FormerRef.number).in_(named)),
    )
    return task.id.in_(ids)


def _of_parent() -> dict[str, _Filter]:
    """A parent is named by an id or a ref, or is `none`."""

    def value(query: TaskQuery, kind: type) -> Any:
        return query.parent if isinstance(query.parent, kind) and query.parent != "none" else None

    return {
        "parent_none": _Filter(
            lambda query: True if query.parent == "none" else None, lambda task: task.parent_id.is_(None)
        ),
        "parent_id": _Filter(
            lambda query: value(query, int), lambda task: task.parent_id == parameter("parent_id", BigInteger)
        ),
        "parent_ref": _Filter(
            lambda query: value(query, str),
            lambda task: task.parent_id == parameter("parent_ref", BigInteger),
            select(func.id_of_ref(parameter("parent_ref", Text))).scalar_subquery(),
        ),
    }


FILTERS = MappingProxyType(
    {
        **_of_statuses(),
        "priorities": _Filter(
            lambda query: list(query.priorities) or None, lambda task: is_among(task.priority, "priorities")
        ),
        **_of_projects(),
        **_of_archived(),
        "refs": _Filter(lambda query: list(query.refs) or None, _has_ref),
        "external_ref": _Filter(
            lambda query: query.external_ref, lambda task: task.external_ref == parameter("external_ref", Text)
        ),
        **_of_parent(),
        **_of_person("assignee", "assignee_id"),
        **_of_person("creator", "creator_id"),
        "labels": _Filter(
            lambda query: list(query.labels) or None,
            lambda task: task.labels.contains(parameter("labels", ARRAY(Text))),
        ),
        "q": _Filter(lambda query: as_tsquery(query.q) if query.q else None, _matches),
        "due_after": _Filter(lambda query: query.due_after, _is_due_after),
        "due_before": _Filter(lambda query: query.due_before, _is_due_before),
        **_of_time("created_at", "created_after", "created_before"),
        **_of_time("started_at", "started_after", "started_before"),
        **_of_time("completed_at", "completed_after", "completed_before"),
        "overdue": _Filter(lambda query: query.overdue or None, _is_overdue),
        "not_overdue": _Filter(lambda query: query.overdue is False or None, lambda task: ~_is_overdue(task)),
        **_of_time("updated_at", "updated_since"),
    }
)


def filter_values(session: Session, query: TaskQuery, now: datetime) -> dict[str, Any]:
    """The value of each filter that the query uses, and `now`, which says what is overdue."""
    values = {name: each.value(query) for name, each in FILTERS.items()}
    used = {name: value for name, value in values.items() if value is not None}
    names = tuple(name for name in used if FILTERS[name].ids is not None)
    ids = _ids(names).rows(session, used)[0] if names else ()
    return {"now": now, **used, **dict(zip(names, ids, strict=True))}


@lru_cache
def _ids(filters: tuple[str, ...]) -> Prepared:
    ids = (FILTERS[name].ids for name in filters)
    return Prepared(select(*(each for each in ids if each is not None)))
