"""How each day's active tasks come to be logged exactly once, and how the record is read.

A day is logged in one transaction with its run: all of it or nothing. While a day lasts it may be logged "up to now"
as often as somebody asks; after its midnight, in the workspace's time zone, the next run completes it for good.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import orjson

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.cache import Cache
from app.database import UnitOfWork
from app.errors import ConflictError, InvalidError
from app.events import DayLogged, DayLogRequested
from app.models.task_log import LogRun, LogSource
from app.repositories.pages import Page
from app.repositories.task_log_table import TaskLogTableRepository
from app.repositories.task_logs import TaskLogQuery, TaskLogRepository
from app.services.clock import Clock
from app.services.lookups import not_found

__all__ = ["TaskLogQuery", "TaskLogService"]

PAGE_TTL_SECONDS = 30


class TaskLogService:
    def __init__(
        self,
        uow: UnitOfWork,
        logs: TaskLogRepository,
        table: TaskLogTableRepository,
        cache: Cache,
        clock: Clock,
        time_zone: ZoneInfo,
    ) -> None:
        self._uow = uow
        self._logs = logs
        self._table = table
        self._cache = cache
        self._now = clock
        self._time_zone = time_zone

    def request_day(self, actor: Actor, log_date: date | None) -> date:
        """Ask for a day to be logged now; a worker does it. Default: today. Asking twice is asking once."""
        ensure_may(actor, Permission.TASK_LOG_RUN)
        today = self._today()
        wanted = log_date or today
        if wanted > today:
            raise InvalidError.of("date", f"{wanted} is still to come")
        if wanted < self._day_before(today):
            raise InvalidError.of("date", f"{wanted} is over; only today and yesterday can be logged now")
        with self._uow.transaction():
            run = self._logs.get_run(wanted)
            if run is not None and run.is_final:
                raise ConflictError(f"{wanted} has been logged for good")
            self._logs.add_request(wanted, actor.user_id)
            self._uow.publish(DayLogRequested(wanted))
        return wanted

    def log_due_days(self) -> list[date]:
        """Log what was asked for, and yesterday unless that is done; return the days logged. May run twice at once."""
        with self._uow.transaction():
            requested = self._logs.list_requested_days()
        yesterday = self._day_before(self._today())
        due = sorted({*requested, yesterday})
        return [day for day in due if self._log_day(day, LogSource.MANUAL if day in requested else LogSource.SCHEDULED)]

    def _log_day(self, log_date: date, source: LogSource) -> bool:
        """Whether there was anything to do."""
        with self._uow.transaction():
            self._logs.lock()
            is_asked_for = self._logs.take_request(log_date)
            run = self._logs.get_run(log_date)
            if run is not None and run.is_final:
                return False
            started_at = self._now()
            end_of_day = self._end_of(log_date)
            is_over = end_of_day <= started_at
            instant = min(end_of_day, started_at)
            if not is_asked_for and run is None and not self._logs.has_tasks_recorded_before(instant):
                return False
            count = self._logs.write_day(log_date, instant=instant)
            self._logs.save_run(
                LogRun(
                    log_date=log_date,
                    time_zone=self._time_zone.key,
                    started_at=started_at,
                    finished_at=self._now(),
                    task_count=count,
                    source=source,
                    is_final=is_over,
                )
            )
            self._uow.publish(DayLogged(log_date, count))
        return True

    def list_page(self, actor: Actor, query: TaskLogQuery) -> tuple[Page, bool]:
        """The page, and whether it came from the cache."""
        return self._remembered(f"task_logs|{actor.scope}|{query!r}", lambda: self._logs.list_page(actor, query))

    def list_numbered(self, actor: Actor, query: TaskLogQuery, *, page: int, per_page: int) -> tuple[Page, bool]:
        """A page of the TaskTrackerPro table, with totals; and whether it came from the cache."""
        key = f"task_log_table|{actor.scope}|{query!r}|{page}|{per_page}"
        return self._remembered(key, lambda: self._numbered_page(actor, query, page, per_page))

    def count_by_day(self, actor: Actor, query: TaskLogQuery) -> Page:
        with self._uow.transaction():
            return self._logs.count_by_day(actor, query)

    def list_runs(self, *, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            return self._logs.list_runs(cursor=cursor, limit=limit)

    def get(self, actor: Actor, log_id: int) -> bytes:
        with self._uow.transaction():
            return (self._logs.get_json(actor, log_id) or not_found("task log", log_id)).encode()

    def get_table_row(self, actor: Actor, log_id: int) -> bytes:
        with self._uow.transaction():
            return self._table.get_json(actor, log_id) or not_found("task log", log_id)

    def _numbered_page(self, actor: Actor, query: TaskLogQuery, page: int, per_page: int) -> Page:
        total = self._logs.count(actor, query)
        rows = self._table.list_numbered(actor, query, page=page, per_page=per_page)
        numbers = {"total": total, "pages": -(-total // per_page), "page": page, "current_page": page}
        return Page(b'{"tasks":' + rows + b"," + orjson.dumps(numbers)[1:], None)

    def _remembered(self, key: str, load: Callable[[], Page]) -> tuple[Page, bool]:
        def load_page() -> bytes:
            with self._uow.transaction():
                return load().to_bytes()

        # A row shows its task's description and ref too, so a change of tasks is a change of these pages.
        found = self._cache.remember(("task_logs", "tasks"), key, load_page, ttl_seconds=PAGE_TTL_SECONDS)
        return Page.from_bytes(found.value), found.was_cached

    def _today(self) -> date:
        return self._now().astimezone(self._time_zone).date()

    def _day_before(self, day: date) -> date:
        """Yesterday, unless the zone left it out: Samoa had no 30th of December 2011."""
        before = day - timedelta(days=1)
        while self._end_of(before) <= self._end_of(before - timedelta(days=1)):
            before -= timedelta(days=1)
        return before

    def _end_of(self, log_date: date) -> datetime:
        """The first instant of the next day, in UTC: days of 23 and 25 hours end where the zone says."""
        return datetime.combine(log_date + timedelta(days=1), time.min, tzinfo=self._time_zone).astimezone(UTC)
