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
from app.repositories.tasks.filters import FILTERS, filter_values
from app.repositories.tasks.read import MAX_SHAPES, conditions_of, task_as_of
from app.repositories.tasks.rows import AS_OF, TaskEntity, is_deleted, task_fields, with_names, with_subtasks

# A column is a list by position, so its cursor continues that list.
SORT = "position"
_STATUS = Task.__table__.c.status.type
# The filters that choose the projects, and not the tasks in them.
_OF_PROJECTS = ("project", "projects")
_COLUMNS = ("id", "updated_at", "comment_count", *VERSIONED_COLUMNS)


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
    """The tasks of each project are read by the index of columns, and then put together."""
    statuses = func.unnest(parameter("columns", ARRAY(_STATUS)))
    board = statuses.table_valued("status", name="board").render_derived()
    projects = select(Project.id).where(is_in_scope(shape.actor, Project.id), *_named(shape)).subquery("project")
    rows = parameter("rows", BigInteger)
    in_column = (Task.project_id == projects.c.id, Task.status == board.c.status)
    # Only the index of columns has all that is read here, so PostgreSQL does not walk the positions of all projects.
    in_order = _passing(shape, Task.id, Task.position).where(*in_column).order_by(Task.position, Task.id)
    near = in_order.correlate(projects, board).limit(rows).lateral("near")
    first = select(near).select_from(projects).join(near, true()).order_by(near.c.position, near.c.id).limit(rows)
    first_ids = first.lateral("first")
    shown = _shown(Task, shape).join(first_ids, first_ids.c.id == Task.id).lateral("shown")
    # OFFSET keeps PostgreSQL from joining all tasks with all projects. Counting stops at the limit.
    each = _passing(shape, Task.id).where(*in_column).correlate(projects, board).offset(0).lateral("each")
    count = counted_up_to_max(select(each.c.id).select_from(projects).join(each, true())).lateral("counted")
    statement = (
        select(board.c.status, count.c[0].label("task_count"), shown.c.json, shown.c.key, shown.c.id)
        .select_from(board)
        .join(count, true())
        .outerjoin(shown, true())
    )
    return Prepared(statement.order_by(board.c.status, shown.c.position, shown.c.id))


def _passing(shape: _Shape, *columns: Any) -> AnySelect:
    """The tasks that pass the filters, without those filters that choose the projects."""
    filters = [FILTERS[name].condition(Task) for name in shape.filters if name in FILTERS and name not in _OF_PROJECTS]
    return select(*columns).where(is_deleted(False), *filters)


@lru_cache(maxsize=MAX_SHAPES)
def _columns_as_of(shape: _Shape) -> Prepared:
    """The history has no index by column, so all tasks of that time are numbered."""
    task = task_as_of(shape.actor, AS_OF)
    conditions = conditions_of(shape.actor, shape.filters, task, deleted=False)
    place = func.row_number().over(partition_by=task.status, order_by=[task.position, task.id])
    count = func.least(func.count().over(partition_by=task.status), MAX_TOTAL + 1)
    columns = [*(getattr(task, name) for name in _COLUMNS), place.label("place"), count.label("task_count")]
    numbered = select(*columns).where(*conditions, is_among(task.status, "columns")).subquery("numbered")
    first = select(numbered).where(numbered.c.place <= parameter("rows", BigInteger)).subquery("first")
    row: TaskEntity = aliased(Task, first, adapt_on_names=True)
    statement = _shown(row, shape, is_as_of=True).add_columns(row.status.label("status"), first.c.task_count)
    return Prepared(statement.order_by(row.status, row.position, row.id))


def _named(shape: _Shape) -> list[Any]:
    """The projects that the query names, as `filter_values` finds them."""
    conditions = {
        "project": Project.id == parameter("project", BigInteger),
        "projects": is_among(Project.id, "projects"),
    }
    return [conditions[name] for name in _OF_PROJECTS if name in shape.filters]


def _shown(row: TaskEntity, shape: _Shape, *, is_as_of: bool = False) -> AnySelect:
    """The tasks as JSON. Names are joined to these few tasks only."""
    json = json_text(task_fields(row, shape.selection, is_as_of=is_as_of)).label("json")
    shown = select(json, cast(row.position, Text).label("key"), row.id, row.position)
    return with_subtasks(with_names(shown, row), row, shape.selection, is_as_of=is_as_of)
