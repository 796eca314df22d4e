"""The SQL of the daily log's files: whole selections, which are read a slice of one day's tasks at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, DateTime, select
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.daily_log.task_log import TaskLog
from app.queries.daily_log import TaskLogQuery
from app.repositories.daily_log.days import LOG_FIELDS, log_conditions, with_names
from app.repositories.daily_log.reports import differing, logged_days

# The fields that are times.
LOG_TIMES = frozenset(name for name, column in LOG_FIELDS.items() if isinstance(column.type, DateTime))


class TaskLogExportRepository:
    """A slice holds the tasks after `after_id` and up to `last_id`, or all tasks after it if `last_id` is None."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list_days(self, query: TaskLogQuery) -> Sequence[date]:
        """List all of the query's logged days, newest first."""
        return self._session.scalars(logged_days(query)).all()

    def list_rows(
        self, actor: Actor, query: TaskLogQuery, log_date: date, *, after_id: int, last_id: int | None
    ) -> Sequence[Sequence[Any]]:
        """List the day's rows of the slice, each as the values of LOG_FIELDS, ordered by task."""
        of_day = replace(query, on=log_date, since=None, until=None)
        statement = with_names(select(*LOG_FIELDS.values())).where(
            *log_conditions(actor, of_day), *_is_in_slice(after_id, last_id)
        )
        return self._session.execute(statement.order_by(TaskLog.task_id)).all()

    def has_more_than(self, actor: Actor, query: TaskLogQuery, row_count: int) -> bool:
        statement = select(TaskLog.task_id).where(*log_conditions(actor, query)).offset(row_count).limit(1)
        return self._session.scalar(statement) is not None

    def last_of_slice(self, *days: date, after_id: int, limit: int, task_id: int | None = None) -> int | None:
        """The last task of the next slice of these days, none of which has more than `limit` rows in it.

        None if no day has as many rows left. If only one task is selected, its row is all that is left. A slice is cut
        by the key alone, so that it costs the same whatever else selects its rows.
        """
        selected = [] if task_id is None else [TaskLog.task_id == task_id]
        ends = [
            self._session.scalar(
                select(TaskLog.task_id)
                .where(TaskLog.log_date == log_date, TaskLog.task_id > after_id, *selected)
                .order_by(TaskLog.task_id)
                .offset(limit - 1)
                .limit(1)
            )
            for log_date in days
        ]
        return min((end for end in ends if end is not None), default=None)

    def list_differences(
        self, actor: Actor, since: date, until: date, *, project: str | None, after_id: int, last_id: int | None
    ) -> Sequence[Mapping[str, Any]]:
        """List how the tasks of the slice differ between two days, ordered by task."""
        slices = [
            select(TaskLog)
            .where(*log_conditions(actor, TaskLogQuery(on=log_date, project=project)), *_is_in_slice(after_id, last_id))
            .subquery()
            for log_date in (since, until)
        ]
        differs = differing(*slices)
        return [row._asdict() for row in self._session.execute(select(differs).order_by(differs.c.task_id))]


def _is_in_slice(after_id: int, last_id: int | None) -> list[ColumnElement[bool]]:
    return [TaskLog.task_id > after_id, *([] if last_id is None else [TaskLog.task_id <= last_id])]
