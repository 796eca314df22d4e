"""How the daily log is written as a file: all rows that match a list's filters, slice by slice, in constant memory."""

from collections.abc import Iterator, Sequence

from app.auth.actor import Actor
from app.clock import Calendar
from app.csv_files.writing import Lines, value_header, value_rows
from app.database.unit_of_work import UnitOfWork
from app.queries.daily_log import TaskLogQuery
from app.repositories.daily_log.days import LOG_FIELDS
from app.repositories.daily_log.export import LOG_TIMES, TaskLogExportRepository
from app.workbooks import MAX_ROWS, SheetIsFullError, WorkbookPiece, workbook_pieces

# The rows of a day that one slice of a file reads.
SLICE_ROWS = 2_000


class TaskLogExportService:
    def __init__(self, uow: UnitOfWork, logs: TaskLogExportRepository, calendar: Calendar) -> None:
        self._uow = uow
        self._logs = logs
        self._calendar = calendar

    def write_csv(self, actor: Actor, query: TaskLogQuery) -> Iterator[Lines]:
        """Write all matching rows, newest day first and within a day by task."""
        yield value_header([*LOG_FIELDS])
        for rows in self._slices(actor, query):
            yield value_rows(rows)

    def write_workbook(self, actor: Actor, query: TaskLogQuery) -> Iterator[WorkbookPiece]:
        """Write the matching rows of one day, with times in the workspace's time zone, which the header names.

        Raises SheetIsFullError if a sheet has no room for them.
        """
        with self._uow.transaction():
            if self._logs.has_more_than(actor, query, MAX_ROWS):
                raise SheetIsFullError
        zone = self._calendar.time_zone
        header = [f"{name} ({zone.key})" if name in LOG_TIMES else name for name in LOG_FIELDS]
        rows = (row for slice_rows in self._slices(actor, query) for row in slice_rows)
        return workbook_pieces(header, rows, sheet_name=str(query.on), time_zone=zone)

    def _slices(self, actor: Actor, query: TaskLogQuery) -> Iterator[Sequence[Sequence[object]]]:
        """Each slice has its own transaction, so a file that takes minutes holds no connection and no snapshot."""
        with self._uow.transaction():
            days = self._logs.list_days(query)
        for day in days:
            after_id, is_last = 0, False
            while not is_last:
                with self._uow.transaction():
                    last_id = self._logs.last_of_slice(day, after_id=after_id, limit=SLICE_ROWS, task_id=query.task_id)
                    rows = self._logs.list_rows(actor, query, day, after_id=after_id, last_id=last_id)
                if rows:
                    yield rows
                after_id, is_last = last_id or 0, last_id is None
