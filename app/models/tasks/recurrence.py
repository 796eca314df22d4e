"""When does a recurring task come again? The rules of RFC 5545 §3.3.10 that we understand, and their next date.

A rule counts from the deadline of its task, by the workspace's clock: a task that is due at 9:00 stays due at 9:00 when
the clocks change. Only rules with a next date within reach are understood: an impossible one, such as every 30
February, would be searched up to the year 9999.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import rrule

from app.clock import in_zone

MAX_RULE_LENGTH = 200
MAX_INTERVAL = 999
MAX_COUNT = 9_999
# A month has every day of the week at least this often.
MAX_WEEK_OF_MONTH = 4
# The latest year of a deadline.
MAX_YEAR = 9_998
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_WEEKDAYS = {str(day): day for day in (rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA, rrule.SU)}
_FREQUENCIES: dict[str, Any] = {
    "DAILY": rrule.DAILY,
    "WEEKLY": rrule.WEEKLY,
    "MONTHLY": rrule.MONTHLY,
    "YEARLY": rrule.YEARLY,
}
_WEEKDAY = re.compile(r"([+-]?[1-9])?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,4}", re.ASCII)
_UNTIL = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)Z)?", re.ASCII)
# The parts that each frequency may have beside INTERVAL, COUNT and UNTIL.
_PARTS_OF = {
    "DAILY": frozenset[str](),
    "WEEKLY": frozenset({"BYDAY", "WKST"}),
    "MONTHLY": frozenset({"BYDAY", "BYMONTHDAY", "BYSETPOS"}),
    "YEARLY": frozenset({"BYDAY", "BYMONTHDAY", "BYMONTH"}),
}


# The reason why a task cannot have a rule, as clients read it.
NEEDS_DEADLINE = "needs a deadline, from which it counts"


class RuleError(ValueError):
    """The reason why a rule is not understood."""


@dataclass(frozen=True, slots=True)
class NextDate:
    """The next deadline, and the rule that counts from it."""

    due_at: datetime
    rule: str


def normalised(text: str) -> str:
    """The rule in capitals, without its name and with its parts in one order. Raises RuleError."""
    return _written(_parts_of(text))


def next_date(rule: str, *, due_at: datetime, now: datetime, zone: ZoneInfo) -> NextDate | None:
    """The first date of a normalised rule after both the deadline and now. None if the rule has ended.

    Dates that have passed meanwhile are left out, but they count.
    """
    parts = _parts_of(rule)
    start = _local(due_at, zone)
    until = _until_of(parts["UNTIL"], zone) if "UNTIL" in parts else datetime.max  # noqa: DTZ901 - a local time
    passed = max(start, _local(now, zone))
    dates = _dates(parts, start)
    # Counting takes time, and only a rule with a COUNT needs it.
    skipped = sum(1 for _each in takewhile(lambda each: each <= passed, dates.xafter(start))) if "COUNT" in parts else 0
    following = dates.after(passed)
    left = int(parts.get("COUNT", MAX_COUNT)) - skipped - 1
    if following is None or following > until or following.year > MAX_YEAR or left < 1:
        return None
    if "COUNT" in parts:
        parts = {**parts, "COUNT": str(left)}
    return NextDate(in_zone(following, zone), _written(parts))


def _dates(parts: Mapping[str, str], start: datetime) -> rrule.rrule:
    by_day = [
        _WEEKDAYS[match[2]](int(match[1])) if match[1] else _WEEKDAYS[match[2]]
        for match in _WEEKDAY.finditer(parts.get("BYDAY", ""))
    ]
    return rrule.rrule(
        _FREQUENCIES[parts["FREQ"]],
        dtstart=start,
        interval=int(parts.get("INTERVAL", 1)),
        wkst=_WEEKDAYS[parts.get("WKST", "MO")],
        byweekday=by_day or None,
        bymonthday=_integers(parts.get("BYMONTHDAY")),
        bymonth=_integers(parts.get("BYMONTH")),
        bysetpos=_integers(parts.get("BYSETPOS")),
    )


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _parts_of(text: str) -> dict[str, str]:
    if len(text) > MAX_RULE_LENGTH:
        raise RuleError(f"has more than {MAX_RULE_LENGTH} characters")
    rule = "".join(text.upper().split()).removeprefix("RRULE:").rstrip(";")
    parts: dict[str, str] = {}
    for pair in rule.split(";"):
        name, equals, value = pair.partition("=")
        if not equals or name not in _READERS or name in parts:
            raise RuleError("is not a recurrence rule such as FREQ=WEEKLY;BYDAY=MO")
        parts[name] = _READERS[name](value)
    frequency = parts.get("FREQ")
    if frequency is None:
        raise RuleError("names no FREQ, such as FREQ=WEEKLY")
    if parts.get("INTERVAL") == "1":
        del parts["INTERVAL"]
    surplus = sorted(set(parts) - _PARTS_OF[frequency] - {"FREQ", "INTERVAL", "COUNT", "UNTIL"})
    if surplus:
        raise RuleError(f"cannot have {surplus[0]} with FREQ={frequency}")
    if {"COUNT", "UNTIL"} <= parts.keys():
        raise RuleError("has both COUNT and UNTIL")
    _ensure_possible(parts)
    return parts


def _ensure_possible(parts: Mapping[str, str]) -> None:
    """Refuse what never happens, and what means something else in other calendars."""
    numbered = any(match[1] for match in _WEEKDAY.finditer(parts.get("BYDAY", "")))
    match parts["FREQ"]:
        case "WEEKLY" if numbered:
            raise RuleError("numbers a day of the week, which FREQ=WEEKLY does not")
        case "MONTHLY":
            if {"BYDAY", "BYMONTHDAY"} <= parts.keys():
                raise RuleError("has both BYDAY and BYMONTHDAY")
            if "BYSETPOS" in parts and ("BYDAY" not in parts or numbered):
                raise RuleError("has BYSETPOS, which needs BYDAY without numbers")
        case "YEARLY":
            if "BYDAY" in parts and (not numbered or "BYMONTH" not in parts or "BYMONTHDAY" in parts):
                raise RuleError("has BYDAY, which needs a number such as 1MO, BYMONTH and no BYMONTHDAY")
            if "BYMONTHDAY" in parts and "BYMONTH" not in parts:
                raise RuleError("has BYMONTHDAY, which needs BYMONTH")
            months, days = _integers(parts.get("BYMONTH")), _integers(parts.get("BYMONTHDAY"))
            if days and min(map(abs, days)) > max(_DAYS_OF_MONTH[month - 1] for month in months or ()):
                raise RuleError("names a day that the month does not have")
        case _:
            pass


def _one_of(words: Mapping[str, Any], name: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in words:
            raise RuleError(f"has another {name} than {', '.join(words)}")
        return value

    return read


def _within(name: str, lowest: int, highest: int, *, is_list: bool = False) -> Callable[[str], str]:
    """A reader of one number, or of several. Zero never counts."""

    def read(value: str) -> str:
        words = value.split(",") if is_list else [value]
        numbers = [int(word) for word in words if _INTEGER.fullmatch(word)]
        if len(numbers) < len(words) or not all(number and lowest <= number <= highest for number in numbers):
            raise RuleError(f"has a {name} outside {lowest} to {highest}")
        return ",".join(str(number) for number in sorted(set(numbers)))

    return read


def _by_day(value: str) -> str:
    days = [_WEEKDAY.fullmatch(word) for word in value.split(",")]
    if not all(day and abs(int(day[1] or 1)) <= MAX_WEEK_OF_MONTH for day in days):
        raise RuleError("has a BYDAY that is no day such as MO, 1MO or -1FR")
    if len({bool(day and day[1]) for day in days}) > 1:
        raise RuleError("numbers some days of the week and not others")
    return ",".join(dict.fromkeys(word.removeprefix("+") for word in value.split(",")))


def _until(value: str) -> str:
    _until_of(value, ZoneInfo("UTC"))
    return value


def _until_of(value: str, zone: ZoneInfo) -> datetime:
    """The end as a local time. A date includes its whole day."""
    match = _UNTIL.fullmatch(value)
    try:
        year, month, day, hour, minute, second = (int(each or 0) for each in match.groups()) if match else [0] * 6
        if match and match[4]:
            return _local(datetime(year, month, day, hour, minute, second, tzinfo=UTC), zone)
        return datetime.combine(date(year, month, day), time.max)
    except (ValueError, OverflowError):
        raise RuleError("has an UNTIL that is no date such as 20261231 or 20261231T170000Z") from None


def _integers(value: str | None) -> list[int] | None:
    return None if value is None else [int(number) for number in value.split(",")]


def _written(parts: Mapping[str, str]) -> str:
    return ";".join(f"{name}={parts[name]}" for name in _READERS if name in parts)


# How each part is read, in the order in which a rule is written.
_READERS: dict[str, Callable[[str], str]] = {
    "FREQ": _one_of(_FREQUENCIES, "FREQ"),
    "INTERVAL": _within("INTERVAL", 1, MAX_INTERVAL),
    "BYMONTH": _within("BYMONTH", 1, len(_DAYS_OF_MONTH), is_list=True),
    "BYMONTHDAY": _within("BYMONTHDAY", -31, 31, is_list=True),
    "BYDAY": _by_day,
    "BYSETPOS": _within("BYSETPOS", -MAX_WEEK_OF_MONTH, MAX_WEEK_OF_MONTH, is_list=True),
    "WKST": _one_of(_WEEKDAYS, "WKST"),
    "COUNT": _within("COUNT", 1, MAX_COUNT),
    "UNTIL": _until,
}
