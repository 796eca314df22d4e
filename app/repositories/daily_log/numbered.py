"""The SQL of the daily log in numbered pages, in which each row comes with its task as it is now."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Date, func, select
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.auth.permissions import sees_deleted
from app.database.prepared import Prepared, parameter
from app.models.daily_log.task_log import LogRun, TaskLog
from app.models.tasks.task import Task
from app.queries.daily_log import NumberedLogQuery
from app.queries.pages import JsonRow, Shape
from app.repositories.daily_log.days import LOG_FIELDS, newest_first, visible_to, with_names
from app.repositories.pages import joined, row_of, shaped_text
from app.repositories.scope import anybody_like, scope_parameters
from app.repositories.tasks.rows import visible_to as visible_tasks

# A row's own fields and two of its task as it is now. Those two are empty if the actor may not see the task.
_FIELDS: Mapping[str, Any] = MappingProxyType(
    {**LOG_FIELDS, "description": func.coalesce(Task.description, ""), "created_at": Task.created_at}
)


class NumberedLogRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def count(self, actor: Actor, *, on: date | None) -> int:
        """Count the rows that the actor may see, of one day or of all days."""
        values = {**scope_parameters(actor), "on": on}
        return int(_count(anybody_like(actor), on is not None).rows(self._session, values)[0][0])

    def list_page(self, actor: Actor, query: NumberedLogQuery, shape: Shape) -> bytes:
        """The rows of one numbered page in this shape, newest day first, as JSON joined by commas."""
        values = {"on": query.on, "rows": query.per_page, "rows_before": (query.page - 1) * query.per_page}
        statement = _page(anybody_like(actor), query.on is not None, shape)
        return joined(row[0] for row in statement.rows(self._session, {**scope_parameters(actor), **values}))

    def get_row(self, actor: Actor, log_id: int, shape: Shape) -> JsonRow | None:
        statement = with_names(select(shaped_text(shape, _FIELDS))).outerjoin(Task, _is_visible_task(actor))
        return row_of(self._session.scalar(statement.where(TaskLog.id == log_id, visible_to(actor))))


def _is_visible_task(actor: Actor) -> Any:
    """A row may be visible although its task is not, because the task has moved to another project or was deleted."""
    is_same_task = (Task.id == TaskLog.task_id) & visible_tasks(actor)
    return is_same_task if sees_deleted(actor) else is_same_task & Task.deleted_at.is_(None)


@cache
def _count(actor: Actor, is_of_one_day: bool) -> Prepared:
    if not actor.sees_everything:
        return Prepared(select(func.count()).select_from(TaskLog).where(*_conditions(actor, is_of_one_day)))
    # Each run has counted its rows. The rows of dropped months are gone, although their runs remain.
    oldest = select(func.min(TaskLog.log_date)).scalar_subquery()
    counted = select(func.coalesce(func.sum(LogRun.task_count), 0)).where(LogRun.log_date >= oldest)
    return Prepared(counted.where(LogRun.log_date == parameter("on", Date)) if is_of_one_day else counted)


@cache
def _page(actor: Actor, is_of_one_day: bool, shape: Shape) -> Prepared:
    days = [LogRun.log_date == parameter("on", Date)] if is_of_one_day else []
    rows, rows_before = parameter("rows", BigInteger), parameter("rows_before", BigInteger)
    chosen = (
        newest_first(_conditions(actor, is_of_one_day), days, rows + rows_before).offset(rows_before).subquery("page")
    )
    return Prepared(
        with_names(select(shaped_text(shape, _FIELDS)))
        .join(chosen, (chosen.c.log_date == TaskLog.log_date) & (chosen.c.task_id == TaskLog.task_id))
        .outerjoin(Task, _is_visible_task(actor))
        .order_by(TaskLog.log_date.desc(), TaskLog.task_id)
    )


def _conditions(actor: Actor, is_of_one_day: bool) -> list[ColumnElement[bool]]:
    return [visible_to(actor), *([TaskLog.log_date == parameter("on", Date)] if is_of_one_day else [])]
