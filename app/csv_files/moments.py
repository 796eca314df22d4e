"""Parses points in time as people write them, in CSV cells and in the classic API."""

import re
from datetime import datetime

# One year less at either end, so that no offset leads out of Python's range.
YEARS = range(2, 9999)

# 3/9/2026, 3.9.2026, and Jira's 9/Mar/26. A time may follow, with AM or PM.
_DAY = r"(?P<first>\d{1,2})(?P<mark>[/.])(?P<second>\d{1,2}|[A-Za-z]{3})(?P=mark)(?P<year>\d{4}|\d{2}(?!\d))"
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<s>\d\d))?(?:\s?(?P<half>[AaPp][Mm]))?"
_EVERYDAY_FORM = re.compile(rf"{_DAY}(?:\s+{_TIME})?", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NOON = 12


def parse_moment(text: str, *, is_day_first: bool = False) -> datetime | None:
    """Parse an ISO date or time, or M/D/YYYY with or without H:MM. None for other text and dates that do not exist.

    With `is_day_first` it parses D.M.YYYY or D/M/YYYY instead. The result is naive if the text names no offset.
    """
    # Other kinds of spaces occur too, such as a narrow one before AM.
    text = " ".join(text.split())
    try:
        moment: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        moment = _parse_everyday_form(text, is_day_first=is_day_first)
    return moment if moment is not None and moment.year in YEARS else None


def _parse_everyday_form(text: str, *, is_day_first: bool) -> datetime | None:
    match = _EVERYDAY_FORM.fullmatch(text)
    if match is None:
        return None
    first, second, year = match["first"], match["second"], match["year"]
    if second.isalpha():
        # A named month cannot be mistaken for the day, so the year may be short.
        day, month = int(first), _MONTHS.index(second.lower()) + 1 if second.lower() in _MONTHS else 0
        year = year if len(year) > 2 else f"20{year}"  # noqa: PLR2004
    elif len(year) == 2 or (match["mark"] == "." and not is_day_first):  # noqa: PLR2004
        # 3.9.2026 is a date only in countries that write the day first, and 3/9/26 is ambiguous everywhere.
        return None
    else:
        month, day = (int(second), int(first)) if is_day_first else (int(first), int(second))
    hour, minute, seconds = int(match["hour"] or 0), int(match["minute"] or 0), int(match["s"] or 0)
    if match["half"] is not None:
        if not 1 <= hour <= _NOON:
            return None
        hour = hour % _NOON + (_NOON if match["half"].lower() == "pm" else 0)
    try:
        return datetime(int(year), month, day, hour, minute, seconds)  # noqa: DTZ001 - the text names no offset
    except ValueError:
        return None
