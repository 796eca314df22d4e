"""How work progresses: cumulative flow, cycle times, ages. Each number comes with the filters that list its tasks."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from app.auth.actor import Actor
from app.clock import Calendar
from app.csv_files.writing import Lines, value_file
from app.database.unit_of_work import UnitOfWork
from app.errors import InvalidError
from app.models.tasks.fields import ACTIVE_STATUSES, TaskStatus
from app.repositories.reports import ReportRepository

MAX_DAYS = 366
DEFAULT_DAYS = 30
# The limits between the age buckets, in days.
AGE_LIMITS = (1, 3, 7, 14, 30, 90)
EPOCH = "1970-01-01T00:00:00+00:00"
PERCENTILES = ("p50", "p75", "p85", "p95")


Filters = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StatusCount:
    """`filters` make the task list show the counted tasks, here and in the other reports."""

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
        """Count the tasks in each status at the end of each day. Today's tasks are counted as of now."""
        since, until = self._range(since, until)
        now = self._calendar.now()
        with self._uow.transaction():
            moves = self._reports.count_moves(
                actor,
                project,
                before=since - timedelta(days=1),
                # This includes the present instant, as the filters below do.
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
                StatusCount(
                    status, counts[status], _filters(as_of=end.isoformat(), status=status.value, project=project)
                )
                for status in TaskStatus
            ]
            days.append(FlowDay(day, numbers))
        return days

    def cycle_time(
        self, actor: Actor, *, since: date | None, until: date | None, project: str | None
    ) -> list[CycleTimeWeek]:
        """How long finished tasks took from start to completion, by the week of their completion."""
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
            filters = _filters(
                status="done",
                # Only tasks that were started have a cycle time.
                started_after=EPOCH,
                completed_after=first.isoformat(),
                completed_before=last.isoformat(),
                project=project,
            )
            percentiles = dict(zip(PERCENTILES, map(float, seconds), strict=True))
            items.append(CycleTimeWeek(week, task_count, percentiles, filters))
        return items

    def aging(self, actor: Actor, *, project: str | None) -> list[AgeBucket]:
        """How long the active tasks have been open, by their current status."""
        now = self._calendar.now()
        with self._uow.transaction():
            rows = self._reports.count_by_age(actor, project, days=AGE_LIMITS, now=now)
        counts = {(bucket, status): count for bucket, status, count in rows}
        items = []
        for bucket, (youngest, oldest) in enumerate(zip((0, *AGE_LIMITS), (*AGE_LIMITS, None), strict=True)):
            # A task that was created in the future counts as new.
            before = _just_after(now - timedelta(days=youngest)) if youngest else None
            after = _just_after(now - timedelta(days=oldest)) if oldest is not None else None
            statuses = ",".join(ACTIVE_STATUSES)
            filters = _filters(status=statuses, created_after=after, created_before=before, project=project)
            by_status = {status.value: counts.get((bucket, status), 0) for status in ACTIVE_STATUSES}
            items.append(AgeBucket(youngest, oldest, sum(by_status.values()), by_status, filters))
        return items

    def write_flow(
        self, actor: Actor, *, since: date | None, until: date | None, project: str | None
    ) -> Iterator[Lines]:
        """Write the flow as CSV, with a column for each status."""
        days = self.flow(actor, since=since, until=until, project=project)
        rows = [(day.date, *(number.task_count for number in day.statuses)) for day in days]
        return value_file(("date", *TaskStatus), rows)

    def write_cycle_time(
        self, actor: Actor, *, since: date | None, until: date | None, project: str | None
    ) -> Iterator[Lines]:
        """Write the cycle times as CSV, with a column for each percentile."""
        weeks = self.cycle_time(actor, since=since, until=until, project=project)
        rows = [(week.week, week.task_count, *(week.seconds[name] for name in PERCENTILES)) for week in weeks]
        return value_file(("week", "task_count", *(f"{name}_seconds" for name in PERCENTILES)), rows)

    def write_aging(self, actor: Actor, *, project: str | None) -> Iterator[Lines]:
        """Write the ages as CSV, with a column for each status."""
        rows = [
            (
                bucket.from_days,
                bucket.to_days,
                bucket.task_count,
                *(bucket.by_status[status] for status in ACTIVE_STATUSES),
            )
            for bucket in self.aging(actor, project=project)
        ]
        return value_file(("from_days", "to_days", "task_count", *ACTIVE_STATUSES), rows)

    def _range(self, since: date | None, until: date | None) -> tuple[date, date]:
        today = self._calendar.today()
        until = min(until or today, today)
        since = since or until - timedelta(days=DEFAULT_DAYS - 1)
        if since > until:
            raise InvalidError.of("from", "is after `to`, or in the future")
        if (until - since).days >= MAX_DAYS:
            raise InvalidError.of("from", f"the range is longer than {MAX_DAYS} days")
        return since, until


def _just_after(instant: datetime) -> str:
    """A bound for filters that puts a task of exactly this age where the buckets put it: with the older tasks."""
    return (instant + timedelta(microseconds=1)).isoformat()


def _days(since: date, until: date) -> list[date]:
    return [since + timedelta(days=number) for number in range((until - since).days + 1)]


def _filters(**filters: str | None) -> Filters:
    return {name: value for name, value in filters.items() if value is not None}
