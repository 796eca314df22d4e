"""How the work goes: cumulative flow, cycle times, ages. Each number comes with the filters that list its tasks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from app.auth.actor import Actor
from app.clock import Calendar
from app.database.unit_of_work import UnitOfWork
from app.errors import InvalidError
from app.models.tasks.fields import ACTIVE_STATUSES, TaskStatus
from app.repositories.reports import ReportRepository

MAX_DAYS = 366
DEFAULT_DAYS = 30
# Ages in days at which one begins to ask.
AGE_LIMITS = (1, 3, 7, 14, 30, 90)
EVER = "1970-01-01T00:00:00+00:00"
PERCENTILES = ("p50", "p75", "p85", "p95")


Filters = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StatusCount:
    """`filters` are those of the task list that lists the tasks behind a number; so in each report."""

    status: TaskStatus
    task_count: int
    filters: Filters


@dataclass(frozen=True, slots=True)
class FlowDay:
    date: date
    statuses: Sequence[StatusCount]


@dataclass(frozen=True, slots=True)
class CycleTimeWeek:
    """`week` is its Monday; `seconds` has a value for each of PERCENTILES."""

    week: date
    task_count: int
    seconds: Mapping[str, float]
    filters: Filters


@dataclass(frozen=True, slots=True)
class AgeBucket:
    """Tasks that have been open for at least `from_days` and less than `to_days`, which is None for the oldest."""

    from_days: int
    to_days: int | None
    task_count: int
    by_status: Mapping[str, int]
    filters: Filters


class ReportService:
    def __init__(self, uow: UnitOfWork, reports: ReportRepository, calendar: Calendar) -> None:
        self._uow = uow
        self._reports = reports
        self._calendar = calendar

    def flow(self, actor: Actor, *, since: date | None, until: date | None, project: str | None) -> list[FlowDay]:
        """How many tasks stood in each status at the end of each day; today's is up to now."""
        since, until = self._range(since, until)
        now = self._calendar.now()
        with self._uow.transaction():
            moves = self._reports.count_moves(
                actor,
                project,
                before=since - timedelta(days=1),
                # Up to and with now: what the filters below ask for.
                end=min(self._calendar.end_of(until), now + timedelta(microseconds=1)),
                zone=self._calendar.time_zone.key,
            )
        changes = {
            day: {status: change for _, status, change in rows} for day, rows in groupby(moves, lambda row: row[0])
        }
        counts: Counter[str] = Counter(changes.get(since - timedelta(days=1), {}))
        days = []
        for day in _days(since, until):
            counts.update(changes.get(day, {}))
            end = min(self._calendar.end_of(day) - timedelta(microseconds=1), now)
            numbers = [
                StatusCount(status, counts[status], _said(as_of=end.isoformat(), status=status.value, project=project))
                for status in TaskStatus
            ]
            days.append(FlowDay(day, numbers))
        return days

    def cycle_time(
        self, actor: Actor, *, since: date | None, until: date | None, project: str | None
    ) -> list[CycleTimeWeek]:
        """How long tasks that were done took from when they were started, by the week in which they were done."""
        since, until = self._range(since, until)
        start, end = self._calendar.start_of(since), self._calendar.end_of(until)
        with self._uow.transaction():
            weeks = self._reports.list_cycle_times(
                actor, project, start=start, end=end, zone=self._calendar.time_zone.key
            )
        items = []
        for week, task_count, seconds in weeks:
            first = max(self._calendar.start_of(week), start)
            last = min(self._calendar.start_of(week + timedelta(days=7)), end)
            filters = _said(
                status="done",
                # Only what was started took any time.
                started_after=EVER,
                completed_after=first.isoformat(),
                completed_before=last.isoformat(),
                project=project,
            )
            percentiles = dict(zip(PERCENTILES, map(float, seconds), strict=True))
            items.append(CycleTimeWeek(week, task_count, percentiles, filters))
        return items

    def aging(self, actor: Actor, *, project: str | None) -> list[AgeBucket]:
        """How long the active tasks have been open, by what they are now."""
        now = self._calendar.now()
        with self._uow.transaction():
            rows = self._reports.count_by_age(actor, project, days=AGE_LIMITS, now=now)
        counts = {(bucket, status): count for bucket, status, count in rows}
        items = []
        for bucket, (youngest, oldest) in enumerate(zip((0, *AGE_LIMITS), (*AGE_LIMITS, None), strict=True)):
            # A task of the future is of today.
            before = _behind(now - timedelta(days=youngest)) if youngest else None
            after = _behind(now - timedelta(days=oldest)) if oldest is not None else None
            statuses = ",".join(ACTIVE_STATUSES)
            filters = _said(status=statuses, created_after=after, created_before=before, project=project)
            by_status = {status.value: counts.get((bucket, status), 0) for status in ACTIVE_STATUSES}
            items.append(AgeBucket(youngest, oldest, sum(by_status.values()), by_status, filters))
        return items

    def _range(self, since: date | None, until: date | None) -> tuple[date, date]:
        today = self._calendar.today()
        until = min(until or today, today)
        since = since or until - timedelta(days=DEFAULT_DAYS - 1)
        if since > until:
            raise InvalidError.of("from", "lies behind `to`, or is still to come")
        if (until - since).days >= MAX_DAYS:
            raise InvalidError.of("from", f"{MAX_DAYS} days are the most")
        return since, until


def _behind(instant: datetime) -> str:
    """The filters begin with the instant they name, ages with the days they name: one looks back, the other forth."""
    return (instant + timedelta(microseconds=1)).isoformat()


def _days(since: date, until: date) -> list[date]:
    return [since + timedelta(days=number) for number in range((until - since).days + 1)]


def _said(**filters: str | None) -> Filters:
    return {name: value for name, value in filters.items() if value is not None}
