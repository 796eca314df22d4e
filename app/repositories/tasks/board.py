"""The SQL of the board: the first tasks of each column and how many it has, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import Any

from sqlalchemy import CTE, BigInteger, ColumnElement, Integer, Text, any_, case, cast, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
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
_IDS = ARRAY(BigInteger)
_ONE_PROJECT = "project"
# The filters that choose the projects, and not the tasks in them.
_OF_PROJECTS = (_ONE_PROJECT, "projects", "hidden_projects", "archived_projects")
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
    """Count the tasks of each column, choose the first ones by their ids alone, and then read these."""
    statuses = func.unnest(parameter("columns", ARRAY(_STATUS)))
    board = statuses.table_valued("status", name="board").render_derived()
    task_count, first_ids = _in_column(shape, board)
    columns = select(board.c.status).select_from(board)
    if _filters_of_tasks(shape):
        few = _few(shape)
        size = select((func.coalesce(func.sum(few.c.task_count), 0) > MAX_TOTAL).label("is_large")).cte("size")
        columns = columns.join(size, true()).outerjoin(few, few.c.status == board.c.status)
        # A query within CASE runs only in its own case.
        task_count = case((size.c.is_large, task_count), else_=func.coalesce(few.c.task_count, 0))
        first_ids = case((size.c.is_large, first_ids), else_=few.c.first_ids)
    columns = columns.add_columns(task_count.label("task_count"), first_ids.label("first_ids"))
    each = columns.cte("columns").prefix_with("MATERIALIZED")
    # OFFSET keeps PostgreSQL from weighing every order of the joins, which takes longer than the joins themselves.
    shown = _shown(Task, shape).where(Task.id == any_(each.c.first_ids)).offset(0).lateral("shown")
    statement = select(each.c.status, each.c.task_count, shown.c.json, shown.c.key, shown.c.id).outerjoin(shown, true())
    return Prepared(statement.order_by(each.c.status, shown.c.position, shown.c.id))


def _few(shape: _Shape) -> CTE:
    """The columns of a board that has at most MAX_TOTAL tasks, read at once by the index that suits the filters.

    Column by column, PostgreSQL would read the same tasks five times to find out which of them pass the filters.
    """
    conditions = conditions_of(shape.actor, shape.filters, deleted=False)
    tasks = select(Task.status, Task.position, Task.id).where(*conditions, is_among(Task.status, "columns"))
    if _ONE_PROJECT in shape.filters:
        # The index of columns gives the tasks of one project in this order. Others give them in no useful order.
        tasks = tasks.order_by(Task.status, Task.position, Task.id)
    task = tasks.limit(MAX_TOTAL + 1).subquery("task")
    ids = func.array_agg(aggregate_order_by(task.c.id, task.c.position, task.c.id), type_=_IDS)
    first_ids = ids[1 : parameter("rows", Integer)]
    counted = select(task.c.status, func.count().label("task_count"), first_ids.label("first_ids"))
    return counted.group_by(task.c.status).cte("few")


def _in_column(shape: _Shape, board: Any) -> tuple[ColumnElement[int], ColumnElement[Any]]:
    """The number of tasks in a column, and the ids of the first ones. Each project is read by itself."""
    projects, filters = _projects(shape), [FILTERS[name].condition(Task) for name in _filters_of_tasks(shape)]
    in_projects = select(Task.id, Task.position).where(is_deleted(False), *filters, Task.project_id == projects.c.id)
    tasks: AnySelect = in_projects.where(Task.status == board.c.status).correlate(projects, board)
    in_order = tasks.order_by(Task.position, Task.id)
    if _ONE_PROJECT in shape.filters and "q" not in shape.filters:
        # In this order, PostgreSQL uses the index of columns, and stops early. It knows how many tasks one project has,
        # but not how many have a word, and could sort very many.
        each = in_order.limit(MAX_TOTAL + 1).lateral("each")
    else:
        # OFFSET keeps PostgreSQL from joining all tasks with all projects.
        each = tasks.offset(0).lateral("each")
    near = in_order.limit(parameter("rows", BigInteger)).lateral("near")
    count = counted_up_to_max(select(each.c.id).select_from(projects).join(each, true()).correlate(board))
    first = select(near.c.id).select_from(projects).join(near, true()).correlate(board)
    first = first.order_by(near.c.position, near.c.id).limit(parameter("rows", BigInteger))
    return count.scalar_subquery(), func.array(first.scalar_subquery(), type_=_IDS)


def _projects(shape: _Shape) -> Any:
    """The ids of the projects on the board. The filters that choose them need nothing else of a task."""
    # PostgreSQL knows how many tasks a project has if the project is a value.
    is_one = _ONE_PROJECT in shape.filters
    project_id = cast(parameter(_ONE_PROJECT, BigInteger), BigInteger) if is_one else Project.id
    every: Any = select(project_id.label("project_id")).subquery("every_project")
    chosen = [FILTERS[name].condition(every.c) for name in shape.filters if name in _OF_PROJECTS]
    in_scope = is_in_scope(shape.actor, every.c.project_id)
    return select(every.c.project_id.label("id")).where(in_scope, *chosen).subquery("project")


def _filters_of_tasks(shape: _Shape) -> list[str]:
    return [name for name in shape.filters if name in FILTERS and name not in _OF_PROJECTS]


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


def _shown(row: TaskEntity, shape: _Shape, *, is_as_of: bool = False) -> AnySelect:
    """The tasks as JSON. Names are joined to these few tasks only."""
    json = json_text(task_fields(row, shape.selection, is_as_of=is_as_of)).label("json")
    shown = select(json, cast(row.position, Text).label("key"), row.id, row.position)
    return with_subtasks(with_names(shown, row), row, shape.selection, is_as_of=is_as_of)
