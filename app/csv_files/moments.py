"""How people write points in time, in CSV cells and in the TaskTrackerPro table."""

import re
from datetime import datetime

# A year from either end, so that no offset leads out of what Python can hold.
YEARS = range(2, 9999)

# 3/9/2026, 3.9.2026; and 9/Mar/26, which is how Jira writes. A time may follow, with AM or PM.
_DAY = r"(?P<first>\d{1,2})(?P<mark>[/.])(?P<second>\d{1,2}|[A-Za-z]{3})(?P=mark)(?P<year>\d{4}|\d{2}(?!\d))"
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<s>\d\d))?(?:\s?(?P<half>[AaPp][Mm]))?"
_WRITTEN = re.compile(rf"{_DAY}(?:\s+{_TIME})?", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NOON = 12


def parse_moment(words: str, *, is_day_first: bool = False) -> datetime | None:
    """An ISO date or time, or M/D/YYYY with or without H:MM; None when it is neither, or a date that does not exist.

    With `is_day_first` D.M.YYYY or D/M/YYYY instead. Naive where the words name no offset.
    """
    # Any space is a space: some write a narrow one before AM.
    words = " ".join(words.split())
    try:
        moment: datetime | None = datetime.fromisoformat(words)
    except ValueError:
        moment = _written_moment(words, is_day_first=is_day_first)
    return moment if moment is not None and moment.year in YEARS else None


def _written_moment(words: str, *, is_day_first: bool) -> datetime | None:
    written = _WRITTEN.fullmatch(words)
    if written is None:
        return None
    first, second, year = written["first"], written["second"], written["year"]
    if second.isalpha():
        # The month is named: whichever comes first is told apart, and the year may be short.
        day, month = int(first), _MONTHS.index(second.lower()) + 1 if second.lower() in _MONTHS else 0
        year = year if len(year) > 2 else f"20{year}"  # noqa: PLR2004
    elif len(year) == 2 or (written["mark"] == "." and not is_day_first):  # noqa: PLR2004
        # 3.9.2026 is September in one country and nothing in another; 3/9/26 could be anything.
        return None
    else:
        month, day = (int(second), int(first)) if is_day_first else (int(first), int(second))
    hour, minute, seconds = int(written["hour"] or 0), int(written["minute"] or 0), int(written["s"] or 0)
    if written["half"] is not None:
        if not 1 <= hour <= _NOON:
            return None
        hour = hour % _NOON + (_NOON if written["half"].lower() == "pm" else 0)
    try:
        return datetime(int(year), month, day, hour, minute, seconds)  # noqa: DTZ001 - the words name no offset
    except ValueError:
        return None
