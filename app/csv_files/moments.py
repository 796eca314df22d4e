"""Parses dates and times as people and trackers write them, in CSV cells and in the classic API."""

import re
from contextlib import suppress
from datetime import date, datetime, time

from app.models.imports.task_import import DateFormat

# One year less at either end, so that no offset leads out of Python's range.
YEARS = range(2, 9999)


# How people write a date of each format.
WRITTEN_AS = {
    DateFormat.US: "M/D/YYYY",
    DateFormat.DAY_FIRST: "D.M.YYYY",
    DateFormat.YEAR_FIRST: "YYYY/M/D",
    DateFormat.ISO: "YYYY-MM-DD",
    DateFormat.JIRA: "D/Mon/YY",
    DateFormat.MONTH_NAME: "Mon D, YYYY",
}
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_ABBREVIATION_LENGTH = 3
_NOON = 12

_DAY, _MONTH, _YEAR = r"(?P<day>\d{1,2})", r"(?P<month>\d{1,2})", r"(?P<year>\d{4})"
# A named month cannot be mistaken for the day, so the year may be short.
_NAMED = rf"{_DAY}(?P<mark>[/.])(?P<month>[A-Za-z]{{3}})(?P=mark)(?P<year>\d{{4}}|\d{{2}})"
_NAME = r"(?P<month>[A-Za-z]{3,9})\.?"
# A time may follow, with AM or PM.
_TIME = r"(?:\s(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?:\s?(?P<half>[AaPp][Mm]))?)?"


def _patterns(*days: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(day + _TIME, re.ASCII) for day in days)


_PATTERNS = {
    # 3.9.2026 is a date only in countries that write the day first, and 3/9/26 is ambiguous everywhere.
    DateFormat.US: _patterns(rf"{_MONTH}/{_DAY}/{_YEAR}", _NAMED),
    DateFormat.DAY_FIRST: _patterns(rf"{_DAY}(?P<mark>[/.]){_MONTH}(?P=mark){_YEAR}", _NAMED),
    DateFormat.YEAR_FIRST: _patterns(rf"{_YEAR}(?P<mark>[/.]){_MONTH}(?P=mark){_DAY}"),
    DateFormat.ISO: (),
    DateFormat.JIRA: _patterns(_NAMED),
    DateFormat.MONTH_NAME: _patterns(rf"{_NAME} {_DAY},? {_YEAR}", rf"{_DAY}\.? {_NAME},? {_YEAR}"),
}
_WITHOUT_YEAR = _patterns(rf"{_NAME} {_DAY}", rf"{_DAY}\.? {_NAME}")
# 29 February is at most this far away.
_MAX_YEARS_TO_A_DAY = 8


def parse_date(text: str, date_format: DateFormat = DateFormat.US) -> date | datetime | None:
    """Parse a date with or without a time. None for other text and dates that do not exist.

    The result is a `date` if the text names no time, and a naive `datetime` if it names no offset.
    """
    # Other kinds of spaces occur too, such as a narrow one before AM.
    text = " ".join(text.split())
    parsed = _iso_from(text) or _parse_everyday_form(text, date_format)
    return parsed if parsed is not None and parsed.year in YEARS else None


def next_day_called(text: str, *, from_day: date) -> date | datetime | None:
    """Parse a day and the name of its month without a year, with or without a time: the next such day.

    `from_day` itself counts. None for other text and days that do not exist.
    """
    match = _match_of(" ".join(text.split()), _WITHOUT_YEAR)
    if match is None:
        return None
    years = range(from_day.year, from_day.year + _MAX_YEARS_TO_A_DAY + 1)
    days = (day for year in years if (day := _date_of(match, year)) is not None)
    return next((day for day in days if moment_of(day).date() >= from_day), None)


def moment_of(parsed: date | datetime) -> datetime:
    """The beginning of a day without a time. It is naive, and so in the zone that the caller chooses."""
    return parsed if isinstance(parsed, datetime) else datetime.combine(parsed, time.min)


def formats_of(text: str) -> list[DateFormat]:
    """The formats in which the text is a date."""
    return [date_format for date_format in DateFormat if parse_date(text, date_format) is not None]


def _iso_from(text: str) -> date | datetime | None:
    for kind in (date, datetime):
        with suppress(ValueError):
            return kind.fromisoformat(text)
    return None


def _parse_everyday_form(text: str, date_format: DateFormat) -> date | datetime | None:
    match = _match_of(text, _PATTERNS[date_format])
    if match is None:
        return None
    year = match["year"] if len(match["year"]) > 2 else f"20{match['year']}"  # noqa: PLR2004
    return _date_of(match, int(year))


def _match_of(text: str, patterns: tuple[re.Pattern[str], ...]) -> re.Match[str] | None:
    return next((match for pattern in patterns if (match := pattern.fullmatch(text))), None)


def _date_of(match: re.Match[str], year: int) -> date | datetime | None:
    month = int(match["month"]) if match["month"].isdigit() else _month_called(match["month"].lower())
    try:
        day = date(year, month, int(match["day"]))
        if match["hour"] is None:
            return day
        return datetime.combine(day, time(_hour_of(match), int(match["minute"]), int(match["second"] or 0)))
    except ValueError:
        return None


def _month_called(name: str) -> int:
    """The number of the month with this name or abbreviation; 0, which no month has, for another word."""
    if name == "sept":
        return _MONTHS.index("september") + 1
    for number, month in enumerate(_MONTHS, 1):
        if name in {month, month[:_ABBREVIATION_LENGTH]}:
            return number
    return 0


def _hour_of(match: re.Match[str]) -> int:
    """The hour of 24. Raises ValueError for an hour that no clock with AM and PM shows."""
    hour = int(match["hour"])
    if match["half"] is None:
        return hour
    if not 1 <= hour <= _NOON:
        raise ValueError("not an hour of twelve")
    return hour % _NOON + (_NOON if match["half"].lower() == "pm" else 0)
