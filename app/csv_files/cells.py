"""How a cell of each column is read, and how values are written so that they read back the same."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.clock import deadline_from, in_zone
from app.csv_files.moments import WRITTEN_AS, DateFormat, formats_of, moment_of, parse_date
from app.csv_files.words import priority_from, status_from
from app.models.people.user import MAX_EMAIL_LENGTH, MAX_USERNAME_LENGTH, RESERVED_USERNAMES
from app.models.people.username import skeleton_of
from app.models.tasks.fields import (
    MAX_DESCRIPTION_LENGTH,
    MAX_EXTERNAL_REF_LENGTH,
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    MAX_TITLE_LENGTH,
    TaskPriority,
    TaskStatus,
)

MAX_SHOWN_LENGTH = 200

# Text that a spreadsheet would take for a formula (OWASP, CSV Injection), after any number of defusing apostrophes.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_DEFUSED = re.compile(r"'+[=+\-@\t\r\n]")
# A label in quotes, with doubled quotes inside, or a label without quotes and separators.
_LABEL = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*(?=[,;]|$)|([^,;]*))(?:[,;]|$)')
_NEEDS_QUOTES = re.compile(r'[,;]|^"')
_NUMBERED_PERSON = re.compile(r"(.*?)\s*\(\d+\)", re.DOTALL)

CellReader = Callable[[str], Any]


class CellError(ValueError):
    """The reason why a cell was refused, as the report shows it."""


def defused(text: str) -> str:
    """The text, with an apostrophe in front if a spreadsheet would take it for a formula. `restored` undoes this."""
    return "'" + text if _FORMULA.match(text) else text


def restored(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and _DEFUSED.match(cell) else cell


def join_labels(labels: list[str]) -> str:
    return ", ".join('"' + label.replace('"', '""') + '"' if _NEEDS_QUOTES.search(label) else label for label in labels)


class CellReaders:
    """One reader for each kind of column, by the names in `columns`. Each reads a stripped cell or raises CellError.

    Dates without an offset are in `time_zone`. A deadline without a time is the end of its day there.
    """

    def __init__(self, time_zone: ZoneInfo, priorities: dict[str, TaskPriority], date_format: DateFormat) -> None:
        self._time_zone = time_zone
        self._priorities = priorities
        self._date_format = date_format
        self.by_name: dict[str, CellReader] = {
            "title": _title,
            "description": _description,
            "status": _status,
            "is_done": _is_done,
            "priority": self._priority,
            "created_at": self._moment,
            "due_at": self._deadline,
            "labels": _labels,
            "assignee": _assignee,
            "one_member": _one_member,
            "numbered_person": _numbered_person,
            "external_ref": _external_ref,
            "only_tasks": _only_tasks,
        }

    def _priority(self, cell: str) -> TaskPriority:
        if not cell:
            return TaskPriority.MEDIUM
        priority = self._priorities.get(cell) or priority_from(cell)
        if priority is None:
            raise CellError(f"{shown(cell)} is not a priority; say one of {', '.join(TaskPriority)}")
        return priority

    def _moment(self, cell: str) -> datetime | None:
        return in_zone(moment_of(self._date(cell)), self._time_zone) if cell else None

    def _deadline(self, cell: str) -> datetime | None:
        return deadline_from(self._date(cell), self._time_zone) if cell else None

    def _date(self, cell: str) -> date:
        parsed = parse_date(cell, self._date_format)
        if parsed is None:
            fitting = " or ".join(formats_of(cell))
            advice = f"set date_format={fitting}, or write" if fitting else "write"
            forms = dict.fromkeys((WRITTEN_AS[DateFormat.ISO], WRITTEN_AS[self._date_format]))
            raise CellError(f"{shown(cell)} is not a date; {advice} {' or '.join(forms)}")
        return parsed


def shown(cell: str) -> str:
    """A cell as the report quotes it, cut to a readable length."""
    return repr(cell[:MAX_SHOWN_LENGTH])


def _title(cell: str) -> str:
    if not cell:
        raise CellError("is empty; a task needs a title")
    return _text(cell, MAX_TITLE_LENGTH)


def _description(cell: str) -> str:
    return _text(cell, MAX_DESCRIPTION_LENGTH)


def _status(cell: str) -> TaskStatus:
    if not cell:
        return TaskStatus.TODO
    status = status_from(cell)
    if status is None:
        raise CellError(f"{shown(cell)} is not a status; say one of {', '.join(TaskStatus)}")
    return status


def _is_done(cell: str) -> TaskStatus:
    """In a column named `done`, true means done. As a status, it means todo."""
    match cell.lower():
        case "true" | "1" | "yes":
            return TaskStatus.DONE
        case "false" | "0" | "no" | "":
            return TaskStatus.TODO
    raise CellError(f"{shown(cell)} is neither true nor false")


def _labels(cell: str) -> list[str]:
    labels = [
        quoted.replace('""', '"').strip() if quoted else plain.strip()
        for quoted, plain in _LABEL.findall(restored(cell))
    ]
    labels = list(dict.fromkeys(label for label in labels if label))
    if len(labels) > MAX_LABELS:
        raise CellError(f"holds {len(labels)} labels; {MAX_LABELS} are the most")
    for label in labels:
        ensure_fits(label, MAX_LABEL_LENGTH)
    return labels


def _assignee(cell: str) -> str | None:
    name = restored(cell)
    if name and not (name.isprintable() and skeleton_of(name)):
        raise CellError("holds characters that a name cannot have")
    if name.lower() in RESERVED_USERNAMES:
        raise CellError(f"{shown(name)} is nobody's name; leave the cell empty for nobody")
    ensure_fits(name, MAX_EMAIL_LENGTH if "@" in name else MAX_USERNAME_LENGTH)
    return name or None


def _one_member(cell: str) -> str | None:
    if "," in cell:
        raise CellError(f"{shown(cell)} are several people; a task has one assignee")
    return _assignee(cell)


def _numbered_person(cell: str) -> str | None:
    """Todoist writes a person as "Ada (123)"."""
    numbered = _NUMBERED_PERSON.fullmatch(cell)
    return _assignee(cell if numbered is None else numbered[1])


def _external_ref(cell: str) -> str | None:
    return _text(cell, MAX_EXTERNAL_REF_LENGTH) or None


def _only_tasks(cell: str) -> None:
    """Todoist's files have sections and notes among the tasks."""
    if cell.lower() not in {"", "task"}:
        raise CellError(f"{shown(cell)} is not a task")


def _text(cell: str, max_length: int) -> str:
    text = restored(cell)
    ensure_fits(text, max_length)
    return text


def ensure_fits(text: str, max_length: int) -> None:
    if "\x00" in text:
        raise CellError("holds a NUL character")
    if len(text) > max_length:
        raise CellError(f"has {len(text)} characters; {max_length} are the most")
