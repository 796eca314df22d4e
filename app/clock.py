"""The present time and the workspace's days. Services receive them as arguments, so tests can set them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import sleep
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    def __call__(self) -> datetime:
        """The present time, in UTC."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when that much time has passed."""
        ...


class SystemClock:
    def __call__(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        sleep(seconds)


SYSTEM_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of the workspace, which begin and end in its time zone. Some last 23 or 25 hours."""

    clock: Clock
    time_zone: ZoneInfo

    def now(self) -> datetime:
        return self.clock()

    def today(self) -> date:
        return self.date_of(self.now())

    def date_of(self, instant: datetime) -> date:
        return instant.astimezone(self.time_zone).date()

    def start_of(self, day: date) -> datetime:
        """The day's first instant, in UTC."""
        return _start_of(day, self.time_zone)

    def end_of(self, day: date) -> datetime:
        """The first instant of the next day, in UTC."""
        return _end_of(day, self.time_zone)

    def has(self, day: date) -> bool:
        """True if the time zone has the day. Samoa had no 30 December 2011."""
        return self.start_of(day) < self.end_of(day)

    def day_before(self, day: date) -> date:
        before = day - timedelta(days=1)
        while not self.has(before):
            before -= timedelta(days=1)
        return before


def deadline_from(written: date, zone: ZoneInfo) -> datetime:
    """The instant of a deadline, in UTC. A day without a time means the last second of that day in `zone`."""
    if isinstance(written, datetime):
        return in_zone(written, zone)
    return _end_of(written, zone) - timedelta(seconds=1)


def written_deadline(deadline: datetime, zone: ZoneInfo) -> date:
    """The day alone if the deadline is its last second in `zone`, or else the deadline. Undoes `deadline_from`."""
    day = deadline.astimezone(zone).date()
    return day if deadline_from(day, zone) == deadline else deadline


def _start_of(day: date, zone: ZoneInfo) -> datetime:
    return in_zone(datetime.combine(day, time.min), zone)


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    return _start_of(day + timedelta(days=1), zone)


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """Convert to UTC, since PostgreSQL accepts fewer offsets than Python. A moment without an offset is in `zone`."""
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
