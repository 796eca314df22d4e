"""The SQL of the daily log's files: whole selections, which are read a slice of one day's tasks at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import DateTime, select
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.daily_log.task_log import TaskLog
from app.queries.daily_log import TaskLogQuery
from app.repositories.daily_log.days import LOG_FIELDS, log_conditions, with_names
from app.repositories.daily_log.reports import differing, logged_days

# The fields that are times.
LOG_TIMES = frozenset(name for name, column in LOG_FIELDS.items() if isinstance(column.type, DateTime))


class TaskLogExportRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list_days(self, query: TaskLogQuery) -> Sequence[date]:
        """List all of the query's logged days, newest first."""
        return self._session.scalars(logged_days(query)).all()

    def list_rows(
        self, actor: Actor, query: TaskLogQuery, log_date: date, *, after_id: int, limit: int
    ) -> tuple[list[Sequence[Any]], int]:
        """The day's next rows after the task `after_id`, each as the values of LOG_FIELDS, and the last task's id."""
        of_day = replace(query, on=log_date, since=None, until=None)
        chosen = (
            select(TaskLog.task_id)
            .where(*log_conditions(actor, of_day), TaskLog.task_id > after_id)
            .order_by(TaskLog.task_id)
            .limit(limit)
            .subquery("page")
        )
        statement = (
            with_names(select(TaskLog.task_id, *LOG_FIELDS.values()))
            .join(chosen, chosen.c.task_id == TaskLog.task_id)
            # The day is named again, because the planner leaves out other months only by a constant.
            .where(TaskLog.log_date == log_date)
            .order_by(TaskLog.task_id)
        )
        rows = self._session.execute(statement).all()
        return [row[1:] for row in rows], rows[-1][0] if rows else after_id

    def has_more_than(self, actor: Actor, query: TaskLogQuery, row_count: int) -> bool:
        statement = select(TaskLog.task_id).where(*log_conditions(actor, query)).offset(row_count).limit(1)
        return self._session.scalar(statement) is not None

    def last_of_slice(self, since: date, until: date, *, after_id: int, limit: int) -> int | None:
        """The last task of the next slice of two days, neither of which has more than `limit` rows in it.

        None if no day has as many rows left.
        """
        ends = [self._session.scalar(_nth_task(log_date, after_id, limit)) for log_date in (since, until)]
        return min((end for end in ends if end is not None), default=None)

    def list_differences(
        self, actor: Actor, since: date, until: date, *, project: str | None, after_id: int, last_id: int | None
    ) -> Sequence[Mapping[str, Any]]:
        """List how the tasks after `after_id` and up to `last_id` differ between two days, ordered by task."""
        slices = [
            select(TaskLog)
            .where(
                *log_conditions(actor, TaskLogQuery(on=log_date, project=project)),
                TaskLog.task_id > after_id,
                *([] if last_id is None else [TaskLog.task_id <= last_id]),
            )
            .subquery()
            for log_date in (since, until)
        ]
        differs = differing(*slices)
        return [row._asdict() for row in self._session.execute(select(differs).order_by(differs.c.task_id))]


def _nth_task(log_date: date, after_id: int, number: int) -> Any:
    after = select(TaskLog.task_id).where(TaskLog.log_date == log_date, TaskLog.task_id > after_id)
    return after.order_by(TaskLog.task_id).offset(number - 1).limit(1)
