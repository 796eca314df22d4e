"""What managers read in the record: how two days differ, and what each day held."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

import orjson

from app.auth.actor import Actor
from app.database.unit_of_work import UnitOfWork
from app.errors import InvalidError
from app.repositories.daily_log.days import TaskLogQuery, TaskLogRepository
from app.repositories.daily_log.reports import DifferencePage, TaskLogReportRepository
from app.repositories.pages import Page, Position, decode_cursor, encode_cursor, is_date

SORT = "-log_date"


class TaskLogReportService:
    def __init__(self, uow: UnitOfWork, logs: TaskLogRepository, reports: TaskLogReportRepository) -> None:
        self._uow = uow
        self._logs = logs
        self._reports = reports

    def diff(
        self, actor: Actor, *, since: date, until: date, project: str | None, cursor: str | None, limit: int
    ) -> DifferencePage:
        """What entered, left and changed from one logged day to another. Raises InvalidError for a day without log."""
        if since > until:
            raise InvalidError.of("from", "lies behind `to`")
        with self._uow.transaction():
            for name, day in (("from", since), ("to", until)):
                run = self._logs.get_run(day)
                if run is None:
                    raise InvalidError.of(name, f"{day} has not been logged")
                if run.task_count and not self._logs.has_rows(day):
                    raise InvalidError.of(name, f"the log of {day} is older than what is kept")
            return self._reports.list_differences(actor, since, until, project=project, cursor=cursor, limit=limit)

    def count_by_day(self, actor: Actor, query: TaskLogQuery) -> Page:
        """A row a logged day, newest first: how many tasks of each status, project and assignee."""
        if query.cursor is not None:
            before = date.fromisoformat(decode_cursor(query.cursor, SORT, is_date).key)
            until = date.fromordinal(max(before.toordinal() - 1, 1))
            query = replace(query, until=min(query.until or until, until))
        with self._uow.transaction():
            days = self._reports.list_days(query)
            shown = days[: query.limit]
            items = [self._day(actor, query, day) for day in shown]
        if not actor.sees_everything:
            # Whoever sees some projects only sees the days on which those had tasks.
            items = [item for item in items if item["task_count"]]
        next_cursor = encode_cursor(SORT, Position(str(shown[-1]), 0)) if len(days) > query.limit else None
        return Page(orjson.dumps(items)[1:-1], next_cursor)

    def _day(self, actor: Actor, query: TaskLogQuery, day: date) -> dict[str, Any]:
        counts = self._reports.count_of_day(actor, replace(query, on=day))
        filters = {"date": str(day), **({"project": query.project} if query.project else {})}
        return {
            "log_date": day,
            "task_count": next((count for *names, count in counts if names == [None, None, None]), 0),
            "by_status": _by(counts, 0),
            "by_project": _by(counts, 1),
            "by_assignee": _by(counts, 2),
            "tasks": f"/api/v1/task-logs?{urlencode(filters)}",
        }


def _by(counts: Sequence[Any], place: int) -> dict[str, int]:
    return {str(row[place]): row[-1] for row in counts if row[place] is not None}
