"""How tasks go out as CSV: all that a list's filters choose, page by page, in memory that does not grow with them."""

from collections.abc import Iterator
from dataclasses import replace

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Clock
from app.csv_files.writing import Lines, export_header, export_rows
from app.database.unit_of_work import UnitOfWork
from app.queries.tasks import TaskQuery
from app.repositories.tasks.export import TaskExportRepository

PAGE_ROWS = 2_000


class TaskExportService:
    def __init__(self, uow: UnitOfWork, tasks: TaskExportRepository, clock: Clock) -> None:
        self._uow = uow
        self._tasks = tasks
        self._now = clock

    def write(self, actor: Actor, query: TaskQuery) -> Iterator[Lines]:
        """A transaction a page: who reads slowly holds no connection. What changes meanwhile may show either way."""
        if query.deleted:
            ensure_may(actor, Permission.TASK_RESTORE)
        query = replace(query, assignee=actor.meant_by(query.assignee), creator=actor.meant_by(query.creator))
        return self._pages(actor, query)

    def _pages(self, actor: Actor, query: TaskQuery) -> Iterator[Lines]:
        yield export_header()
        now = self._now()
        after_id = 0
        while True:
            with self._uow.transaction():
                page, after_id = self._tasks.list_page(actor, query, now=now, after_id=after_id, limit=PAGE_ROWS)
            if page:
                yield export_rows(page)
            if len(page) < PAGE_ROWS:
                return
