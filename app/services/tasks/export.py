"""How tasks are exported as CSV: all that match a list's filters, page by page, in constant memory."""

from collections.abc import Iterator, Sequence
from typing import Any

from app.auth.actor import Actor
from app.clock import Calendar, written_deadline
from app.csv_files.writing import Lines, value_header, value_rows
from app.database.unit_of_work import UnitOfWork
from app.models.tasks.fields import EXPORTED
from app.queries.tasks import TaskQuery
from app.repositories.tasks.export import TaskExportRepository
from app.services.tasks.read import resolved

PAGE_ROWS = 2_000
_DEADLINE = EXPORTED.index("due_at")


class TaskExportService:
    def __init__(self, uow: UnitOfWork, tasks: TaskExportRepository, calendar: Calendar) -> None:
        self._uow = uow
        self._tasks = tasks
        self._calendar = calendar

    def write(self, actor: Actor, query: TaskQuery) -> Iterator[Lines]:
        """Write all matching tasks. Changes that are made meanwhile may or may not be included.

        Each page has its own transaction, so a slow reader holds no connection.
        """
        return self._pages(actor, resolved(actor, query, self._calendar))

    def _pages(self, actor: Actor, query: TaskQuery) -> Iterator[Lines]:
        yield value_header(EXPORTED)
        now = self._calendar.now()
        after_id = 0
        while True:
            with self._uow.transaction():
                page, after_id = self._tasks.list_page(actor, query, now=now, after_id=after_id, limit=PAGE_ROWS)
            if page:
                yield value_rows([self._as_written(row) for row in page])
            if len(page) < PAGE_ROWS:
                return

    def _as_written(self, row: Sequence[Any]) -> Sequence[Any]:
        """The row with a deadline at the end of a day as that day alone, as an import reads it."""
        deadline = row[_DEADLINE]
        if deadline is None:
            return row
        return [*row[:_DEADLINE], written_deadline(deadline, self._calendar.time_zone), *row[_DEADLINE + 1 :]]
