"""How the daily log is read: its rows by filters or by numbered pages, and the runs that wrote them."""

from collections.abc import Callable
from dataclasses import dataclass

from app.auth.actor import Actor
from app.auth.permissions import scope_of
from app.cache import CacheView, Space
from app.database.unit_of_work import UnitOfWork
from app.errors import not_found
from app.queries.daily_log import NumberedLogQuery, TaskLogQuery
from app.queries.pages import JsonRow, Page, Shape, Total
from app.repositories.daily_log.days import TaskLogRepository
from app.repositories.daily_log.numbered import NumberedLogRepository

PAGE_TTL_SECONDS = 30


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """Rows as JSON text joined by commas. `total` and `page_count` are those of the whole list."""

    rows: bytes
    total: int
    page: int
    page_count: int


class TaskLogService:
    def __init__(
        self, uow: UnitOfWork, logs: TaskLogRepository, numbered: NumberedLogRepository, cache: CacheView
    ) -> None:
        self._uow = uow
        self._logs = logs
        self._numbered = numbered
        self._cache = cache

    def list_page(self, actor: Actor, query: TaskLogQuery) -> tuple[Page, bool]:
        """The page, and whether it came from the cache."""
        key = f"task_log_rows|{scope_of(actor)}|{query!r}"
        return self._from_cache(key, lambda: self._logs.list_page(actor, query))

    def list_numbered(self, actor: Actor, query: NumberedLogQuery, shape: Shape) -> tuple[NumberedPage, bool]:
        """Return a page by its number, with its rows in that shape, and whether it came from the cache."""
        key = f"numbered_task_logs|{scope_of(actor)}|{query!r}|{shape!r}"
        rows, was_cached = self._from_cache(key, lambda: self._load_numbered(actor, query, shape))
        total = rows.total.count if rows.total is not None else 0
        page_count = -(-total // query.per_page)
        return NumberedPage(rows.rows, total=total, page=query.page, page_count=page_count), was_cached

    def list_runs(self, *, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            return self._logs.list_runs(cursor=cursor, limit=limit)

    def get(self, actor: Actor, log_id: int) -> JsonRow:
        with self._uow.transaction():
            return self._logs.get_row(actor, log_id) or not_found("task log", log_id)

    def get_with_task(self, actor: Actor, log_id: int, shape: Shape) -> JsonRow:
        """A row in that shape, with its task as it is now."""
        with self._uow.transaction():
            return self._numbered.get_row(actor, log_id, shape) or not_found("task log", log_id)

    def _load_numbered(self, actor: Actor, query: NumberedLogQuery, shape: Shape) -> Page:
        total = Total(self._numbered.count(actor, on=query.on), is_capped=False)
        return Page(self._numbered.list_page(actor, query, shape), None, total)

    def _from_cache(self, key: str, load: Callable[[], Page]) -> tuple[Page, bool]:
        def load_page() -> bytes:
            with self._uow.transaction():
                return load().to_bytes()

        # A numbered page shows its tasks' current descriptions, so it is outdated when a task changes.
        cached = self._cache.remember((Space.TASK_LOGS, Space.TASKS), key, load_page, ttl_seconds=PAGE_TTL_SECONDS)
        return Page.from_bytes(cached.value), cached.was_cached
