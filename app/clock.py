"""The present time and the workspace's days. Each service is given them, so a test can set them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of the workspace: they begin and end in its time zone, some after 23 or 25 hours."""

    now: Clock
    time_zone: ZoneInfo

    def today(self) -> date:
        return self.date_of(self.now())

    def date_of(self, instant: datetime) -> date:
        return instant.astimezone(self.time_zone).date()

    def start_of(self, day: date) -> datetime:
        """The day's first instant, in UTC."""
        return datetime.combine(day, time.min, tzinfo=self.time_zone).astimezone(UTC)

    def end_of(self, day: date) -> datetime:
        """The first instant of the next day, in UTC."""
        return self.start_of(day + timedelta(days=1))

    def has(self, day: date) -> bool:
        """Does the time zone have the day? Samoa had no 30th of December 2011."""
        return self.start_of(day) < self.end_of(day)

    def day_before(self, day: date) -> date:
        before = day - timedelta(days=1)
        while not self.has(before):
            before -= timedelta(days=1)
        return before


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """In UTC, since PostgreSQL takes fewer offsets than we do; a moment without an offset is meant in that zone."""
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
