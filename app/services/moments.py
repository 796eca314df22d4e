"""How people write points in time, in CSV cells and in the TaskTrackerPro table."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

DAY_PARTS = 3
YEAR_DIGITS = 4


def parse_moment(words: str) -> datetime | None:
    """An ISO date or time, or M/D/YYYY with or without H:MM; None when it is neither, or a date that does not exist.

    Naive where the words name no offset.
    """
    words = words.strip()
    try:
        return datetime.fromisoformat(words)
    except ValueError:
        return _american_moment(words)


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """A moment without an offset is meant in the workspace's time zone."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _american_moment(words: str) -> datetime | None:
    day_words, _, time_words = words.partition(" ")
    numbers = day_words.split("/")
    if len(numbers) != DAY_PARTS or not all(number.isascii() and number.isdigit() for number in numbers):
        return None
    month, day, year = numbers
    if len(year) != YEAR_DIGITS:
        return None
    try:
        clock = time.fromisoformat(time_words.zfill(5)) if time_words else time.min
        return datetime(int(year), int(month), int(day), clock.hour, clock.minute, clock.second)  # noqa: DTZ001
    except ValueError:
        return None
