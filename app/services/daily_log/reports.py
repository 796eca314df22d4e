"""Reports on the daily log: how two days differ, and how many tasks each day has."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from app.auth.actor import Actor
from app.database.unit_of_work import UnitOfWork
from app.errors import InvalidError
from app.queries.daily_log import TaskLogQuery
from app.queries.pages import Position, ValuePage, decode_cursor, encode_cursor, is_date
from app.repositories.daily_log.days import TaskLogRepository
from app.repositories.daily_log.reports import DifferencePage, TaskLogReportRepository

SORT = "-log_date"


@dataclass(frozen=True, slots=True)
class LogDay:
    """The number of tasks of a logged day, in all and by status, project and assignee."""

    log_date: date
    task_count: int
    by_status: Mapping[str, int]
    by_project: Mapping[str, int]
    by_assignee: Mapping[str, int]


class TaskLogReportService:
    def __init__(self, uow: UnitOfWork, logs: TaskLogRepository, reports: TaskLogReportRepository) -> None:
        self._uow = uow
        self._logs = logs
        self._reports = reports

    def diff(
        self, actor: Actor, *, since: date, until: date, project: str | None, cursor: str | None, limit: int
    ) -> DifferencePage:
        """List tasks that entered, left or changed between two days. Raises InvalidError for a day without a log."""
        if since > until:
            raise InvalidError.of("from", "is after `to`")
        with self._uow.transaction():
            for name, day in (("from", since), ("to", until)):
                run = self._logs.get_run(day)
                if run is None:
                    raise InvalidError.of(name, f"{day} has not been logged")
                if run.task_count and not self._logs.has_rows(day):
                    raise InvalidError.of(name, f"the log of {day} is no longer kept")
            return self._reports.list_differences(actor, since, until, project=project, cursor=cursor, limit=limit)

    def count_by_day(self, actor: Actor, query: TaskLogQuery) -> ValuePage[LogDay]:
        """Count the tasks of each logged day by status, project and assignee, newest day first."""
        if query.cursor is not None:
            before = date.fromisoformat(decode_cursor(query.cursor, SORT, is_date).key)
            until = date.fromordinal(max(before.toordinal() - 1, 1))
            query = replace(query, until=min(query.until or until, until))
        with self._uow.transaction():
            days = self._reports.list_days(query)
            shown = days[: query.limit]
            counted = [self._day(actor, query, day) for day in shown]
        if not actor.sees_everything:
            # An actor who sees only some projects sees only the days on which those projects had tasks.
            counted = [day for day in counted if day.task_count]
        next_cursor = encode_cursor(SORT, Position(str(shown[-1]), 0)) if len(days) > query.limit else None
        return ValuePage(counted, next_cursor)

    def _day(self, actor: Actor, query: TaskLogQuery, day: date) -> LogDay:
        counts = self._reports.count_of_day(actor, replace(query, on=day))
        return LogDay(day, counts.total, counts.by_status, counts.by_project, counts.by_assignee)
