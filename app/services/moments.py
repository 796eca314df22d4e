"""How people write points in time, in CSV cells and in the TaskTrackerPro table."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

DAY_PARTS = 3
YEAR_DIGITS = 4
# A year from either end, so that no offset leads out of what Python can hold.
YEARS = range(2, 9999)


def parse_moment(words: str) -> datetime | None:
    """An ISO date or time, or M/D/YYYY with or without H:MM; None when it is neither, or a date that does not exist.

    Naive where the words name no offset.
    """
    words = words.strip()
    try:
        moment: datetime | None = datetime.fromisoformat(words)
    except ValueError:
        moment = _american_moment(words)
    return moment if moment is not None and moment.year in YEARS else None


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """In UTC, since PostgreSQL takes fewer offsets than we; without an offset the workspace's time zone is meant."""
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)


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
        return datetime.combine(date(int(year), int(month), int(day)), clock)
    except ValueError:
        return None
