"""How tasks are exported as CSV: all that match a list's filters, page by page, in constant memory."""

from collections.abc import Iterator

from app.auth.actor import Actor
from app.clock import Clock
from app.csv_files.writing import Lines, value_header, value_rows
from app.database.unit_of_work import UnitOfWork
from app.models.tasks.fields import EXPORTED
from app.queries.tasks import TaskQuery
from app.repositories.tasks.export import TaskExportRepository
from app.services.tasks.read import resolved

PAGE_ROWS = 2_000


class TaskExportService:
    def __init__(self, uow: UnitOfWork, tasks: TaskExportRepository, clock: Clock) -> None:
        self._uow = uow
        self._tasks = tasks
        self._now = clock

    def write(self, actor: Actor, query: TaskQuery) -> Iterator[Lines]:
        """Write all matching tasks. Changes that are made meanwhile may or may not be included.

        Each page has its own transaction, so a slow reader holds no connection.
        """
        return self._pages(actor, resolved(actor, query))

    def _pages(self, actor: Actor, query: TaskQuery) -> Iterator[Lines]:
        yield value_header(EXPORTED)
        now = self._now()
        after_id = 0
        while True:
            with self._uow.transaction():
                page, after_id = self._tasks.list_page(actor, query, now=now, after_id=after_id, limit=PAGE_ROWS)
            if page:
                yield value_rows(page)
            if len(page) < PAGE_ROWS:
                return
