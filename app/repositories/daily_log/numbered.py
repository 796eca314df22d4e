"""The SQL of the daily log in numbered pages, in which each row comes with its task as it is now."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.auth.permissions import sees_deleted
from app.models.daily_log.task_log import LogRun, TaskLog
from app.models.tasks.task import Task
from app.queries.daily_log import NumberedLogQuery, TaskLogQuery
from app.queries.pages import JsonRow, Shape
from app.repositories.daily_log.days import LOG_FIELDS, log_conditions, visible_to, with_names
from app.repositories.pages import joined, json_text, row_of, shaped
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
        if not actor.sees_everything:
            counted = select(func.count()).select_from(TaskLog)
            return self._session.scalar(counted.where(*log_conditions(actor, TaskLogQuery(on=on)))) or 0
        # Each run has counted its rows. The rows of dropped months are gone, although their runs remain.
        oldest = select(func.min(TaskLog.log_date)).scalar_subquery()
        counted = select(func.coalesce(func.sum(LogRun.task_count), 0)).where(LogRun.log_date >= oldest)
        if on is not None:
            counted = counted.where(LogRun.log_date == on)
        return int(self._session.scalar(counted) or 0)

    def list_page(self, actor: Actor, query: NumberedLogQuery, shape: Shape) -> bytes:
        """The rows of one numbered page in this shape, newest day first, as JSON joined by commas."""
        chosen = (
            select(TaskLog.log_date, TaskLog.task_id)
            .where(*log_conditions(actor, TaskLogQuery(on=query.on)))
            .order_by(TaskLog.log_date.desc(), TaskLog.task_id)
            .limit(query.per_page)
            .offset((query.page - 1) * query.per_page)
            .subquery("page")
        )
        statement = (
            with_names(select(json_text(shaped(shape, _FIELDS))))
            .join(chosen, (chosen.c.log_date == TaskLog.log_date) & (chosen.c.task_id == TaskLog.task_id))
            .outerjoin(Task, _is_visible_task(actor))
            .order_by(TaskLog.log_date.desc(), TaskLog.task_id)
        )
        return joined(self._session.scalars(statement))

    def get_row(self, actor: Actor, log_id: int, shape: Shape) -> JsonRow | None:
        statement = with_names(select(json_text(shaped(shape, _FIELDS)))).outerjoin(Task, _is_visible_task(actor))
        return row_of(self._session.scalar(statement.where(TaskLog.id == log_id, visible_to(actor))))


def _is_visible_task(actor: Actor) -> Any:
    """A row may be visible although its task is not, because the task has moved to another project or was deleted."""
    is_same_task = (Task.id == TaskLog.task_id) & visible_tasks(actor)
    return is_same_task if sees_deleted(actor) else is_same_task & Task.deleted_at.is_(None)
