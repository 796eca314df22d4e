"""How the work goes: cumulative flow, cycle times, ages. Each number comes with the request that lists its tasks."""

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import groupby
from urllib.parse import urlencode

from app.auth.actor import Actor
from app.clock import Calendar
from app.database.unit_of_work import UnitOfWork
from app.errors import InvalidError
from app.models.tasks.task import ACTIVE_STATUSES, TaskStatus
from app.repositories.reports import ReportRepository

MAX_DAYS = 366
DEFAULT_DAYS = 30
# Ages in days at which one begins to ask.
AGE_LIMITS = (1, 3, 7, 14, 30, 90)
EVER = "1970-01-01T00:00:00+00:00"
PERCENTILES = ("p50", "p75", "p85", "p95")


class ReportService:
    def __init__(self, uow: UnitOfWork, reports: ReportRepository, calendar: Calendar) -> None:
        self._uow = uow
        self._reports = reports
        self._calendar = calendar

    def flow(self, actor: Actor, *, since: date | None, until: date | None, project: str | None) -> dict[str, object]:
        """How many tasks stood in each status at the end of each day; today's is up to now."""
        since, until = self._range(since, until)
        now = self._calendar.now()
        with self._uow.transaction():
            moves = self._reports.count_moves(
                actor,
                project,
                before=since - timedelta(days=1),
                # Up to and with now: what the links below ask for.
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
                {
                    "status": status,
                    "task_count": counts[status],
                    "tasks": _tasks(as_of=end.isoformat(), status=status.value, project=project),
                }
                for status in TaskStatus
            ]
            days.append({"date": day, "statuses": numbers})
        return {"items": days}

    def cycle_time(
        self, actor: Actor, *, since: date | None, until: date | None, project: str | None
    ) -> dict[str, object]:
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
            link = _tasks(
                status="done",
                # Only what was started took any time.
                started_after=EVER,
                completed_after=first.isoformat(),
                completed_before=last.isoformat(),
                project=project,
            )
            percentiles = dict(zip(PERCENTILES, map(float, seconds), strict=True))
            items.append({"week": week, "task_count": task_count, "seconds": percentiles, "tasks": link})
        return {"items": items}

    def aging(self, actor: Actor, *, project: str | None) -> dict[str, object]:
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
            link = _tasks(status=",".join(ACTIVE_STATUSES), created_after=after, created_before=before, project=project)
            by_status = {status.value: counts.get((bucket, status), 0) for status in ACTIVE_STATUSES}
            items.append(
                {
                    "from_days": youngest,
                    "to_days": oldest,
                    "task_count": sum(by_status.values()),
                    "by_status": by_status,
                    "tasks": link,
                }
            )
        return {"items": items}

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


def _tasks(**filters: str | None) -> str:
    """The request that lists the tasks behind a number."""
    return "/api/v1/tasks?" + urlencode({name: value for name, value in filters.items() if value is not None})
