"""Reports on the daily log: how two days differ, and how many tasks each day has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from app.auth.actor import Actor
from app.csv_files.writing import Lines, value_header, value_rows
from app.database.unit_of_work import UnitOfWork
from app.errors import InvalidError
from app.models.tasks.fields import LOGGED
from app.queries.daily_log import TaskLogQuery
from app.queries.pages import Position, ValuePage, decode_cursor, encode_cursor, is_date
from app.repositories.daily_log.days import TaskLogRepository
from app.repositories.daily_log.export import TaskLogExportRepository
from app.repositories.daily_log.reports import DifferencePage, TaskLogReportRepository

SORT = "-log_date"
# The rows of each day that one slice of a file compares.
SLICE_ROWS = 2_000
DAY_COLUMNS = ("log_date", "counted_by", "value", "task_count")
_FIELDS = tuple(field.name for field in LOGGED)
DIFF_COLUMNS = ("task_id", "change", *(f"{side}_{name}" for side in ("before", "after") for name in _FIELDS))


@dataclass(frozen=True, slots=True)
class LogDay:
    """The number of tasks of a logged day, in all and by status, project and assignee."""

    log_date: date
    task_count: int
    by_status: Mapping[str, int]
    by_project: Mapping[str, int]
    by_assignee: Mapping[str, int]


class TaskLogReportService:
    def __init__(
        self,
        uow: UnitOfWork,
        logs: TaskLogRepository,
        reports: TaskLogReportRepository,
        exports: TaskLogExportRepository,
    ) -> None:
        self._uow = uow
        self._logs = logs
        self._reports = reports
        self._exports = exports

    def diff(
        self, actor: Actor, *, since: date, until: date, project: str | None, cursor: str | None, limit: int
    ) -> DifferencePage:
        """List tasks that entered, left or changed between two days. Raises InvalidError for a day without a log."""
        with self._uow.transaction():
            self._ensure_comparable(since, until)
            return self._reports.list_differences(actor, since, until, project=project, cursor=cursor, limit=limit)

    def write_diff(self, actor: Actor, *, since: date, until: date, project: str | None) -> Iterator[Lines]:
        """Write all differences as CSV, ordered by task. Raises InvalidError for a day without a log."""
        with self._uow.transaction():
            self._ensure_comparable(since, until)
        return self._differences(actor, since, until, project)

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
        counted = [day for day in counted if _is_visible_to(actor, day)]
        next_cursor = encode_cursor(SORT, Position(str(shown[-1]), 0)) if len(days) > query.limit else None
        return ValuePage(counted, next_cursor)

    def write_days(self, actor: Actor, query: TaskLogQuery) -> Iterator[Lines]:
        """Write the counts of all days as CSV: one row for each number, newest day first.

        Each day has its own transaction, so a file that takes minutes holds no connection.
        """
        yield value_header(DAY_COLUMNS)
        with self._uow.transaction():
            days = self._exports.list_days(query)
        for log_date in days:
            with self._uow.transaction():
                day = self._day(actor, query, log_date)
            if _is_visible_to(actor, day):
                yield value_rows([*_rows_of(day)])

    def _ensure_comparable(self, since: date, until: date) -> None:
        if since > until:
            raise InvalidError.of("from", "is after `to`")
        for name, day in (("from", since), ("to", until)):
            run = self._logs.get_run(day)
            if run is None:
                raise InvalidError.of(name, f"{day} has not been logged")
            if run.task_count and not self._logs.has_rows(day):
                raise InvalidError.of(name, f"the log of {day} is no longer kept")

    def _differences(self, actor: Actor, since: date, until: date, project: str | None) -> Iterator[Lines]:
        yield value_header(DIFF_COLUMNS)
        after_id, is_last = 0, False
        while not is_last:
            with self._uow.transaction():
                last_id = self._exports.last_of_slice(since, until, after_id=after_id, limit=SLICE_ROWS)
                differences = self._exports.list_differences(
                    actor, since, until, project=project, after_id=after_id, last_id=last_id
                )
            if differences:
                yield value_rows([_cells_of(difference) for difference in differences])
            after_id, is_last = last_id or 0, last_id is None

    def _day(self, actor: Actor, query: TaskLogQuery, day: date) -> LogDay:
        counts = self._reports.count_of_day(actor, replace(query, on=day))
        return LogDay(day, counts.total, counts.by_status, counts.by_project, counts.by_assignee)


def _is_visible_to(actor: Actor, day: LogDay) -> bool:
    """An actor who sees only some projects sees only the days on which those projects had tasks."""
    return actor.sees_everything or day.task_count > 0


def _rows_of(day: LogDay) -> Iterator[tuple[object, ...]]:
    """A row for each number of the day, with the values of DAY_COLUMNS."""
    yield day.log_date, "all", None, day.task_count
    for counted_by, counts in (
        ("status", day.by_status),
        ("project", day.by_project),
        ("assignee", day.by_assignee),
    ):
        for value, task_count in sorted(counts.items()):
            yield day.log_date, counted_by, value, task_count


def _cells_of(difference: Mapping[str, Any]) -> list[object]:
    """The values of DIFF_COLUMNS. A day without the task has empty cells."""
    states = (difference[side] or {} for side in ("before", "after"))
    return [difference["task_id"], difference["change"], *(state.get(name) for state in states for name in _FIELDS)]
