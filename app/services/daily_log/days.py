"""How each day's active tasks are logged exactly once.

One transaction logs a day together with its run, so a day is logged completely or not at all. Before a day ends, it may
be logged "up to now" any number of times. After its midnight, in the workspace's time zone, the next run logs it for
good. It does so from the history: however late that run is, it logs the day as it was at its end.
"""

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from time import perf_counter

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Calendar
from app.database.unit_of_work import UnitOfWork
from app.errors import ConflictError, InvalidError
from app.events import DayLogged, DayLogRequested
from app.models.daily_log.task_log import LogRun, LogSource
from app.repositories.daily_log.days import TaskLogRepository
from app.repositories.tasks.history_clock import HistoryClockRepository

logger = logging.getLogger(__name__)

# How long one job fills in missing days before it lets other jobs run.
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


class DailyLogService:
    def __init__(
        self,
        uow: UnitOfWork,
        logs: TaskLogRepository,
        history_clock: HistoryClockRepository,
        calendar: Calendar,
        retention_days: int,
    ) -> None:
        self._uow = uow
        self._logs = logs
        self._history_clock = history_clock
        self._calendar = calendar
        self._retention_days = retention_days

    def request_day(self, actor: Actor, log_date: date | None) -> DayRequest:
        """Request that a worker logs a day, by default today. Repeating a request that still waits changes nothing."""
        ensure_may(actor, Permission.TASK_LOG_RUN)
        with self._uow.transaction():
            today = self._calendar.date_of(self._history_clock.now())
            day = log_date or today
            beginning = self._history_clock.find_beginning()
            if day > today:
                raise InvalidError.of("date", f"{day} is in the future")
            if day < today and (beginning is None or self._calendar.end_of(day) <= beginning):
                raise InvalidError.of("date", f"{day} is before the first task")
            if not self._calendar.has(day):
                raise InvalidError.of("date", f"there was no {day} in {self._calendar.time_zone.key}")
            run = self._logs.get_run(day)
            if run is not None and run.is_final:
                raise ConflictError(f"{day} has been logged for good: {run.task_count} tasks")
            self._logs.add_request(day, actor.user_id)
            self._uow.publish(DayLogRequested(day))
        return DayRequest(day, is_over=day < today)

    def log_due_days(self) -> list[date]:
        """Log the requested days and every past day that is not final; return the days that were logged.

        If two runs overlap, one of them leaves the rest to the other. A run works for a limited time, and then
        requests another run for the rest.
        """
        with self._uow.transaction():
            started_at = self._history_clock.now()
            requested = self._logs.list_requested_days()
            missing = self._list_missing_days(started_at)
            self._prepare_partitions(self._calendar.date_of(started_at))
        until = self._calendar.now() + SLICE
        logged: list[date] = []
        for log_date in dict.fromkeys([*requested, *missing]):
            if self._calendar.now() > until:
                with self._uow.transaction():
                    self._uow.publish(DayLogRequested(log_date))
                break
            is_logged = self._log_day(log_date, started_at, is_requested=log_date in requested)
            if is_logged is None:
                # The other run logs the next days too. If both went on, each could leave a day to the other.
                return logged
            if is_logged:
                logged.append(log_date)
        self._request_run_for_new_requests(requested)
        return logged

    def _request_run_for_new_requests(self, known: list[date]) -> None:
        """Request another run: the run that a new request started may have ended because this one was at work."""
        with self._uow.transaction():
            for log_date in set(self._logs.list_requested_days()) - set(known):
                self._uow.publish(DayLogRequested(log_date))

    def _list_missing_days(self, now: datetime) -> list[date]:
        """List the days since the first task that are over but not logged for good, for example after a downtime."""
        beginning = self._history_clock.find_beginning()
        if beginning is None:
            return []
        day, today = self._calendar.date_of(beginning), self._calendar.date_of(now)
        closed = self._logs.list_closed_days(since=day)
        days = []
        while day < today:
            if day not in closed and self._calendar.has(day):
                days.append(day)
            day += timedelta(days=1)
        return days

    def _prepare_partitions(self, today: date) -> None:
        """Create the partitions of this month and the next ahead of time, and drop those past the retention."""
        self._logs.ensure_partition(today)
        self._logs.ensure_partition(today.replace(day=1) + timedelta(days=31))
        if self._retention_days:
            self._logs.drop_partitions_before(today - timedelta(days=self._retention_days))

    def _log_day(self, log_date: date, now: datetime, *, is_requested: bool) -> bool | None:
        """Return True if the day was logged, False if it is not due or not closed, None if another run is at work."""
        end_of_day = self._calendar.end_of(log_date)
        is_over = end_of_day <= now
        if is_over:
            # This is committed before the check for writers below. After the commit, writes belong to the next day.
            with self._uow.transaction():
                self._history_clock.close_until(end_of_day)
        with self._uow.transaction():
            if not self._logs.try_lock():
                logger.info("%s and the days after it are left to the run that is at work", log_date)
                return None
            run = self._logs.get_run(log_date)
            if run is not None and run.is_final:
                self._logs.take_request(log_date)
                return False
            if is_over and self._history_clock.has_writers_before(end_of_day):
                logger.info("%s is not closed yet: a transaction that began before its end is still writing", log_date)
                return False
            was_requested = self._logs.take_request(log_date)
            if is_requested and not was_requested and not is_over:
                return False
            started_at, began_at = self._history_clock.now(), perf_counter()
            self._logs.ensure_partition(log_date)
            count = self._logs.write_day(log_date, instant=end_of_day if is_over else None, is_first=run is None)
            self._logs.save_run(
                LogRun(
                    log_date=log_date,
                    time_zone=self._calendar.time_zone.key,
                    started_at=started_at,
                    finished_at=started_at + timedelta(seconds=perf_counter() - began_at),
                    task_count=count,
                    source=self._source_of(log_date, now, was_requested=was_requested),
                    is_final=is_over,
                )
            )
            self._uow.publish(DayLogged(log_date, count))
        logger.info("%s logged%s: %d tasks", log_date, " for good" if is_over else " up to now", count)
        return True

    def _source_of(self, log_date: date, now: datetime, *, was_requested: bool) -> LogSource:
        if was_requested:
            return LogSource.MANUAL
        is_yesterday = log_date == self._calendar.day_before(self._calendar.date_of(now))
        return LogSource.SCHEDULED if is_yesterday else LogSource.BACKFILL
