"""The SQL of the board: the first tasks of each column and how many it has, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import Any

from sqlalchemy import BigInteger, Text, cast, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from app.auth.actor import Actor
from app.database.prepared import Prepared, is_among, parameter
from app.models.projects.project import Project
from app.models.tasks.fields import VERSIONED_COLUMNS, TaskStatus
from app.models.tasks.task import Task
from app.queries.pages import MAX_TOTAL
from app.queries.tasks import BoardColumn, Selection, TaskQuery
from app.repositories.pages import AnySelect, counted_up_to_max, json_text, page_of, total_of
from app.repositories.scope import anybody_like, is_in_scope, scope_parameters
from app.repositories.tasks.filters import filter_values
from app.repositories.tasks.read import MAX_SHAPES, conditions_of, task_as_of
from app.repositories.tasks.rows import TaskEntity, task_fields, with_names

# A column is a list by position, so its cursor continues that list.
SORT = "position"
_STATUS = Task.__table__.c.status.type
_COLUMNS = ("id", "updated_at", *VERSIONED_COLUMNS)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What decides the text of the statement. Everything else is a parameter."""

    actor: Actor
    filters: tuple[str, ...]
    selection: Selection


class BoardRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list_columns(self, actor: Actor, query: TaskQuery, *, now: datetime) -> Sequence[BoardColumn]:
        """The columns of `query.statuses`, or all, each with its first tasks, as of `query.as_of` if it is set."""
        statuses = query.statuses or tuple(TaskStatus)
        filters = filter_values(self._session, replace(query, statuses=()), query.as_of or now)
        shape = _Shape(anybody_like(actor), tuple(filters), query.selection)
        values = {
            **filters,
            **scope_parameters(actor),
            "columns": [status.value for status in statuses],
            "as_of": query.as_of,
            "rows": query.limit + 1,
        }
        statement = _columns(shape) if query.as_of is None else _columns_as_of(shape)
        by_status: dict[str, list[Any]] = {
            status: list(rows)
            for status, rows in groupby(statement.rows(self._session, values), key=lambda row: row.status)
        }
        return [_column(status, by_status.get(status, []), query.limit) for status in TaskStatus if status in statuses]


def _column(status: TaskStatus, rows: Sequence[Any], limit: int) -> BoardColumn:
    tasks = [(row.json, row.key, row.id) for row in rows if row.id is not None]
    total = total_of(rows[0].task_count if rows else 0)
    return BoardColumn(status, page_of(tasks, limit=limit, sort=SORT, total=total))


@lru_cache(maxsize=MAX_SHAPES)
def _columns(shape: _Shape) -> Prepared:
    """Each column is read by its index. If it has tasks of several projects, each project's tasks are read by it."""
    statuses = func.unnest(parameter("columns", ARRAY(_STATUS)))
    column = statuses.table_valued("status", name="board").render_derived()
    conditions = [*conditions_of(shape.actor, shape.filters, deleted=False), Task.status == column.c.status]
    tasks: AnySelect = select(*(getattr(Task, name) for name in _COLUMNS)).where(*conditions).correlate(column)
    if "project" not in shape.filters:
        project = select(Project.id).where(is_in_scope(shape.actor, Project.id), *_named(shape)).subquery("project")
        of_project = _first(tasks.where(Task.project_id == project.c.id).correlate(column, project), Task)
        near = of_project.lateral("of_project")
        tasks = select(near).select_from(project).join(near, true())
        first = _first(tasks, near.c)
    else:
        first = _first(tasks, Task)
    row: TaskEntity = aliased(Task, first.lateral("first"), adapt_on_names=True)
    shown = _shown(row, shape).lateral("shown")
    count = counted_up_to_max(select(Task.id).where(*conditions).correlate(column)).lateral("counted")
    statement = (
        select(column.c.status, count.c[0].label("task_count"), shown.c.json, shown.c.key, shown.c.id)
        .select_from(column)
        .join(count, true())
        .outerjoin(shown, true())
    )
    return Prepared(statement.order_by(column.c.status, shown.c.position, shown.c.id))


@lru_cache(maxsize=MAX_SHAPES)
def _columns_as_of(shape: _Shape) -> Prepared:
    """The history has no index by column, so all tasks of that time are numbered."""
    task = task_as_of(shape.actor, parameter("as_of", Task.updated_at.type))
    conditions = conditions_of(shape.actor, shape.filters, task, deleted=False)
    place = func.row_number().over(partition_by=task.status, order_by=[task.position, task.id])
    count = func.least(func.count().over(partition_by=task.status), MAX_TOTAL + 1)
    columns = [*(getattr(task, name) for name in _COLUMNS), place.label("place"), count.label("task_count")]
    numbered = select(*columns).where(*conditions, is_among(task.status, "columns")).subquery("numbered")
    first = select(numbered).where(numbered.c.place <= parameter("rows", BigInteger)).subquery("first")
    row: TaskEntity = aliased(Task, first, adapt_on_names=True)
    statement = _shown(row, shape).add_columns(row.status.label("status"), first.c.task_count)
    return Prepared(statement.order_by(row.status, row.position, row.id))


def _named(shape: _Shape) -> list[Any]:
    return [is_among(Project.id, "projects")] if "projects" in shape.filters else []


def _first(tasks: AnySelect, columns: Any) -> AnySelect:
    return tasks.order_by(columns.position, columns.id).limit(parameter("rows", BigInteger))


def _shown(row: TaskEntity, shape: _Shape) -> AnySelect:
    """The tasks as JSON. Names are joined to these few tasks only."""
    json = json_text(task_fields(row, shape.selection)).label("json")
    return with_names(select(json, cast(row.position, Text).label("key"), row.id, row.position), row)
