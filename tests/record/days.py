"""The first and last instants of days in any time zone, and the users whom the record knows."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

TICK = timedelta(microseconds=1)
BEGINNING_OF_TIME = datetime.min.replace(tzinfo=UTC)
USERS = ("ada", "bob")


@lru_cache(maxsize=10_000)
def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """Find the instant by the local time; for a day that the zone skipped, it is the first instant of the next day."""
    middle = datetime.combine(day, time.min, tzinfo=UTC)
    before, after = middle - timedelta(days=2), middle + timedelta(days=2)
    assert before.astimezone(zone).date() < day <= after.astimezone(zone).date()
    while after - before > TICK:
        middle = before + (after - before) / 2
        before, after = (before, middle) if middle.astimezone(zone).date() >= day else (middle, after)
    return after


def end_of(day: date, zone: ZoneInfo) -> datetime:
    return first_instant(day + timedelta(days=1), zone)
