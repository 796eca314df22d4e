"""How cells with dates and times are read, as our own files and other trackers write them."""

from datetime import date, datetime, time
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from app.clock import deadline_from, in_zone
from app.csv_files.cell_parts import CellError, parts_of, shown
from app.csv_files.moments import WRITTEN_AS, formats_of, moment_of, parse_date
from app.csv_files.todoist import is_a_plan, planned_date, with_plan
from app.models.imports.task_import import DateFormat

# Vikunja writes the zero time of Go for a time that is not set.
_ZERO_TIME = "0001-01-01T00:00:00Z"


class DateReaders:
    """Dates without an offset are in `time_zone`. A deadline without a time is the end of its day there.

    Days without a year are counted from `uploaded_on`.
    """

    def __init__(self, time_zone: ZoneInfo, date_format: DateFormat, *, uploaded_on: date) -> None:
        self._time_zone = time_zone
        self._date_format = date_format
        self._uploaded_on = uploaded_on

    def moment(self, cell: str) -> datetime | None:
        return in_zone(moment_of(self._date(cell)), self._time_zone) if cell else None

    def day(self, cell: str) -> date | None:
        """A day. A time is left out, and one with an offset is first moved to the workspace's time zone."""
        if not cell:
            return None
        parsed = self._date(cell)
        if not isinstance(parsed, datetime):
            return parsed
        return (parsed if parsed.tzinfo is None else parsed.astimezone(self._time_zone)).date()

    def deadline(self, cell: str) -> datetime | None:
        return deadline_from(self._date(cell), self._time_zone) if cell else None

    def due_day(self, cell: str) -> datetime | None:
        """Jira and Kanboard know only the day of a deadline, and write midnight as its time."""
        if not cell:
            return None
        parsed = self._date(cell)
        is_midnight = isinstance(parsed, datetime) and parsed.tzinfo is None and parsed.time() == time.min
        return deadline_from(parsed.date() if isinstance(parsed, datetime) and is_midnight else parsed, self._time_zone)

    def set_moment(self, cell: str) -> datetime | None:
        return self.moment("" if cell == _ZERO_TIME else cell)

    def set_deadline(self, cell: str) -> datetime | None:
        return self.deadline("" if cell == _ZERO_TIME else cell)

    def todoist_deadline(self, cells: str) -> datetime | None:
        """Date, deadline and time zone. The date says when somebody wants to do the task: the deadline comes first."""
        planned, deadline, zone = parts_of(cells, 3)
        if deadline:
            parsed = self._date(deadline, part=1)
        elif not planned:
            return None
        else:
            dated = planned_date(planned, self._date_format, self._uploaded_on)
            if dated is None and is_a_plan(planned):
                return None
            parsed = dated or self._date(planned)
        return deadline_from(
            parsed, self._zone_called(zone, part=2) if isinstance(parsed, datetime) else self._time_zone
        )

    def _zone_called(self, name: str, *, part: int) -> ZoneInfo:
        if not name:
            return self._time_zone
        if name not in _zone_names():
            raise CellError(f"{shown(name)} is not a time zone such as Europe/Berlin", part)
        return ZoneInfo(name)

    def todoist_description(self, cells: str) -> str:
        """Description and date. A date that no deadline can keep, such as a repetition, is kept here as text."""
        description, planned = parts_of(cells, 2)
        is_dated = planned_date(planned, self._date_format, self._uploaded_on) is not None
        return description if is_dated or not is_a_plan(planned) else with_plan(description, planned)

    def _date(self, cell: str, *, part: int = 0) -> date:
        parsed = parse_date(cell, self._date_format)
        if parsed is None:
            fitting = " or ".join(formats_of(cell))
            advice = f"set date_format={fitting}, or write" if fitting else "write"
            forms = dict.fromkeys((WRITTEN_AS[DateFormat.ISO], WRITTEN_AS[self._date_format]))
            raise CellError(f"{shown(cell)} is not a date; {advice} {' or '.join(forms)}", part)
        return parsed


@cache
def _zone_names() -> set[str]:
    return available_timezones()
