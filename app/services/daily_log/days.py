"""How each day's active tasks come to be logged exactly once, and how the record is read.

A day is logged in one transaction with its run: all of it or nothing. While a day lasts it may be logged "up to now"
as often as somebody asks; after its midnight, in the workspace's time zone, the next run completes it for good. It does
so from the history: however late that run comes, the day is logged as it was.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import perf_counter
from zoneinfo import ZoneInfo

import orjson

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may, scope_of
from app.cache import Cache
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import ConflictError, InvalidError, not_found
from app.events import DayLogged, DayLogRequested
from app.models.daily_log.task_log import LogRun, LogSource
from app.repositories.daily_log.days import TaskLogQuery, TaskLogRepository
from app.repositories.daily_log.numbered import TaskLogTableRepository
from app.repositories.pages import Page
from app.repositories.tasks.history_clock import RecordRepository

__all__ = ["TaskLogQuery", "TaskLogService"]

logger = logging.getLogger(__name__)

PAGE_TTL_SECONDS = 30
# How long one job fills in missing days before it lets others have their turn.
SLICE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class DayRequest:
    """A day that a worker will log."""

    log_date: date
    is_over: bool

    @property
    def message(self) -> str:
        if self.is_over:
            return f"{self.log_date} will be logged for good, as it was at its end."
        return f"{self.log_date} will be logged as it is now, and completed after its end."


class TaskLogService:
    def __init__(
        self,
        uow: UnitOfWork,
        logs: TaskLogRepository,
        table: TaskLogTableRepository,
        record: RecordRepository,
        cache: Cache,
        clock: Clock,
        time_zone: ZoneInfo,
        retention_days: int,
    ) -> None:
        self._uow = uow
        self._logs = logs
        self._table = table
        self._record = record
        self._cache = cache
        self._now = clock
        self._time_zone = time_zone
        self._retention_days = retention_days

    def request_day(self, actor: Actor, log_date: date | None) -> DayRequest:
        """Ask for a day to be logged now; a worker does it. Default: today. Asking twice is asking once."""
        ensure_may(actor, Permission.TASK_LOG_RUN)
        with self._uow.transaction():
            today = self._date_of(self._record.now())
            wanted = log_date or today
            beginning = self._record.find_beginning()
            if wanted > today:
                raise InvalidError.of("date", f"{wanted} is still to come")
            if wanted < today and (beginning is None or self._end_of(wanted) <= beginning):
                raise InvalidError.of("date", f"{wanted} lies before the record begins")
            if not self._exists(wanted):
                raise InvalidError.of("date", f"there was no {wanted} in {self._time_zone.key}")
            run = self._logs.get_run(wanted)
            if run is not None and run.is_final:
                raise ConflictError(f"{wanted} has been logged for good: {run.task_count} tasks")
            self._logs.add_request(wanted, actor.user_id)
            self._uow.publish(DayLogRequested(wanted))
        return DayRequest(wanted, is_over=wanted < today)

    def log_due_days(self) -> list[date]:
        """Log what was asked for, and every day that is over and not closed; return the days logged.

        May run twice at once: one of the two leaves the rest to the other. Works for a slice of time; what is left then
        is due at once again.
        """
        with self._uow.transaction():
            started_at = self._record.now()
            requested = self._logs.list_requested_days()
            missing = self._list_missing_days(started_at)
            self._prepare_partitions(self._date_of(started_at))
        until = self._now() + SLICE
        logged: list[date] = []
        for log_date in dict.fromkeys([*requested, *missing]):
            if self._now() > until:
                with self._uow.transaction():
                    self._uow.publish(DayLogRequested(log_date))
                break
            is_logged = self._log_day(log_date, started_at, is_asked_for=log_date in requested)
            if is_logged is None:
                # That run goes on to the next days. Two that took turns could each leave a day to the other.
                return logged
            if is_logged:
                logged.append(log_date)
        self._ring_for_new_requests(requested)
        return logged

    def _ring_for_new_requests(self, known: list[date]) -> None:
        """Whoever was rung for them meanwhile may have found us at work and gone again."""
        with self._uow.transaction():
            for log_date in set(self._logs.list_requested_days()) - set(known):
                self._uow.publish(DayLogRequested(log_date))

    def _list_missing_days(self, now: datetime) -> list[date]:
        """Since the first task: days that are over and were never completed, as after a time when nothing ran."""
        beginning = self._record.find_beginning()
        if beginning is None:
            return []
        day, today = self._date_of(beginning), self._date_of(now)
        closed = self._logs.list_closed_days(since=day)
        days = []
        while day < today:
            if day not in closed and self._exists(day):
                days.append(day)
            day += timedelta(days=1)
        return days

    def _prepare_partitions(self, today: date) -> None:
        """Those of now and of next month are there before they are needed; old ones go, if there is a limit."""
        self._logs.ensure_partition(today)
        self._logs.ensure_partition(today.replace(day=1) + timedelta(days=31))
        if self._retention_days:
            self._logs.drop_partitions_before(today - timedelta(days=self._retention_days))

    def _log_day(self, log_date: date, now: datetime, *, is_asked_for: bool) -> bool | None:
        """Whether there was anything to do, and it could be done; None when another run is at work."""
        end_of_day = self._end_of(log_date)
        is_over = end_of_day <= now
        if is_over:
            # Committed before the writers are looked for: who writes from here on writes into the next day.
            with self._uow.transaction():
                self._record.close_until(end_of_day)
        with self._uow.transaction():
            if not self._logs.try_lock():
                logger.info("%s and what follows is left to the run that is at work", log_date)
                return None
            run = self._logs.get_run(log_date)
            if run is not None and run.is_final:
                self._logs.take_request(log_date)
                return False
            if is_over and self._record.has_writers_before(end_of_day):
                logger.info("%s is not closed yet: a transaction that began before its end is still writing", log_date)
                return False
            was_asked_for = self._logs.take_request(log_date)
            if is_asked_for and not was_asked_for and not is_over:
                return False
            started_at, began_at = self._record.now(), perf_counter()
            self._logs.ensure_partition(log_date)
            count = self._logs.write_day(log_date, instant=end_of_day if is_over else None, is_first=run is None)
            self._logs.save_run(
                LogRun(
                    log_date=log_date,
                    time_zone=self._time_zone.key,
                    started_at=started_at,
                    finished_at=started_at + timedelta(seconds=perf_counter() - began_at),
                    task_count=count,
                    source=self._source_of(log_date, now, was_asked_for=was_asked_for),
                    is_final=is_over,
                )
            )
            self._uow.publish(DayLogged(log_date, count))
        logger.info("%s logged%s: %d tasks", log_date, " for good" if is_over else " up to now", count)
        return True

    def _source_of(self, log_date: date, now: datetime, *, was_asked_for: bool) -> LogSource:
        if was_asked_for:
            return LogSource.MANUAL
        is_yesterday = log_date == self._day_before(self._date_of(now))
        return LogSource.SCHEDULED if is_yesterday else LogSource.BACKFILL

    def list_page(self, actor: Actor, query: TaskLogQuery) -> tuple[Page, bool]:
        """The page, and whether it came from the cache."""
        return self._remembered(f"task_logs|{scope_of(actor)}|{query!r}", lambda: self._logs.list_page(actor, query))

    def list_numbered(self, actor: Actor, query: TaskLogQuery, *, page: int, per_page: int) -> tuple[Page, bool]:
        """A page of the TaskTrackerPro table, with totals; and whether it came from the cache."""
        key = f"task_log_table|{scope_of(actor)}|{query!r}|{page}|{per_page}"
        return self._remembered(key, lambda: self._numbered_page(actor, query, page, per_page))

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
        total = self._table.count(actor, on=query.on)
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

    def _date_of(self, instant: datetime) -> date:
        return instant.astimezone(self._time_zone).date()

    def _day_before(self, day: date) -> date:
        before = day - timedelta(days=1)
        while not self._exists(before):
            before -= timedelta(days=1)
        return before

    def _exists(self, day: date) -> bool:
        """Whether the zone has the day: Samoa had no 30th of December 2011."""
        return self._end_of(day - timedelta(days=1)) < self._end_of(day)

    def _end_of(self, log_date: date) -> datetime:
        """The first instant of the next day, in UTC: days of 23 and 25 hours end where the zone says."""
        return datetime.combine(log_date + timedelta(days=1), time.min, tzinfo=self._time_zone).astimezone(UTC)
