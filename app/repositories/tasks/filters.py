"""The filters of a list of tasks: for each, the value that a query gives it and the condition that it sets."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.database.prepared import is_among, parameter
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.tasks.fields import ACTIVE_STATUSES
from app.models.tasks.task import Task
from app.queries.pages import is_integer
from app.queries.tasks import TaskQuery
from app.repositories.tasks.rows import TaskEntity

_IDLE_HYPHEN = re.compile(r"-(?![\w\"])")


@dataclass(frozen=True, slots=True)
class _Filter:
    # The value of the filter's parameter, which has the filter's name. None if the query does not use the filter.
    value: Callable[[TaskQuery], object]
    condition: Callable[[TaskEntity], ColumnElement[bool]]


def _of_person(name: str, column_name: str) -> dict[str, _Filter]:
    """A person is named by an id or a username, or is `none`."""

    def person(query: TaskQuery) -> str | None:
        person: str | None = getattr(query, name)
        return person

    def id_of(query: TaskQuery) -> int | None:
        text = person(query)
        return int(text) if text is not None and is_integer(text) else None

    def username_of(query: TaskQuery) -> str | None:
        text = person(query)
        return None if text is None or text == "none" or is_integer(text) else text

    def is_named(task: TaskEntity) -> ColumnElement[bool]:
        username = func.lower(parameter(f"{name}_username", Text))
        same_name = select(User.id).where(func.lower(User.username) == username).scalar_subquery()
        return getattr(task, column_name) == same_name  # type: ignore[no-any-return]

    return {
        f"{name}_none": _Filter(
            lambda query: True if person(query) == "none" else None, lambda task: getattr(task, column_name).is_(None)
        ),
        f"{name}_id": _Filter(id_of, lambda task: getattr(task, column_name) == parameter(f"{name}_id", BigInteger)),
        f"{name}_username": _Filter(username_of, is_named),
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


def _is_overdue(task: TaskEntity) -> ColumnElement[bool]:
    is_late = task.due_at < parameter("now", Task.due_at.type)
    return func.coalesce(is_late & task.status.in_(ACTIVE_STATUSES), literal(False))


def _is_in_a_project(task: TaskEntity) -> ColumnElement[bool]:
    return task.project_id.in_(select(Project.id).where(is_among(Project.key, "projects")))


def _matches(task: TaskEntity) -> ColumnElement[bool]:
    return task.search.bool_op("@@")(func.websearch_to_tsquery("simple", parameter("q", Text)))


def _searchable(query: TaskQuery) -> str | None:
    """Remove hyphens that exclude nothing: 33 of them before a word overflow PostgreSQL's stack."""
    return _IDLE_HYPHEN.sub(" ", query.q) if query.q else None


FILTERS = MappingProxyType(
    {
        "statuses": _Filter(lambda query: list(query.statuses) or None, lambda task: is_among(task.status, "statuses")),
        "priorities": _Filter(
            lambda query: list(query.priorities) or None, lambda task: is_among(task.priority, "priorities")
        ),
        "projects": _Filter(lambda query: list(query.projects) or None, _is_in_a_project),
        **_of_person("assignee", "assignee_id"),
        **_of_person("creator", "creator_id"),
        "labels": _Filter(
            lambda query: list(query.labels) or None,
            lambda task: task.labels.contains(parameter("labels", ARRAY(Text))),
        ),
        "q": _Filter(_searchable, _matches),
        **_of_time("due_at", "due_after", "due_before"),
        **_of_time("created_at", "created_after", "created_before"),
        **_of_time("started_at", "started_after", "started_before"),
        **_of_time("completed_at", "completed_after", "completed_before"),
        "overdue": _Filter(lambda query: query.overdue or None, _is_overdue),
        "not_overdue": _Filter(lambda query: query.overdue is False or None, lambda task: ~_is_overdue(task)),
        **_of_time("updated_at", "updated_since"),
    }
)


def filter_values(query: TaskQuery, now: datetime) -> dict[str, Any]:
    """The value of each filter that the query uses, and `now`, which says what is overdue."""
    values = {name: each.value(query) for name, each in FILTERS.items()}
    return {"now": now, **{name: value for name, value in values.items() if value is not None}}
