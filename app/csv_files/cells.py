"""How a cell of each column is read, and how values are written so that they read back the same."""

import re
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from app.csv_files.cell_parts import CellError, parts_of, shown
from app.csv_files.date_cells import DateReaders
from app.csv_files.statuses import StatusReaders
from app.csv_files.words import FileWords, key_of, priority_from
from app.models.imports.task_import import DateFormat
from app.models.people.user import MAX_EMAIL_LENGTH, MAX_USERNAME_LENGTH, RESERVED_USERNAMES
from app.models.people.username import skeleton_of
from app.models.tasks.fields import (
    MAX_DESCRIPTION_LENGTH,
    MAX_ESTIMATE,
    MAX_EXTERNAL_REF_LENGTH,
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    MAX_LEVELS,
    MAX_TITLE_LENGTH,
    TaskPriority,
    TaskStatus,
)
from app.models.tasks.recurrence import RuleError, normalised

# Text that a spreadsheet would take for a formula (OWASP, CSV Injection), after any number of defusing apostrophes.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_DEFUSED = re.compile(r"'+[=+\-@\t\r\n]")
# A label in quotes, with doubled quotes inside, or a label without quotes and separators.
_LABEL = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*(?=[,;]|$)|([^,;]*))(?:[,;]|$)')
_NEEDS_QUOTES = re.compile(r'[,;]|^"')
# An indent with more digits is a mistake.
MAX_INDENT_DIGITS = 3
_NUMBERED_PERSON = re.compile(r"(.*?)\s*\(\d+\)", re.DOTALL)

# With a decimal comma too. Before three digits, a comma may separate thousands.
_NUMBER = re.compile(r"\d{1,7}(?:\.\d{1,15}|,\d{1,2})?", re.ASCII)

# Todoist writes labels into the name of a task.
_LABEL_IN_NAME = re.compile(r"(?<!\S)@([^\s@,;]+)")

CellReader = Callable[[str], Any]


def defused(text: str) -> str:
    """The text, with an apostrophe in front if a spreadsheet would take it for a formula. `restored` undoes this."""
    return "'" + text if _FORMULA.match(text) else text


def restored(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and _DEFUSED.match(cell) else cell


def join_labels(labels: list[str]) -> str:
    return ", ".join('"' + label.replace('"', '""') + '"' if _NEEDS_QUOTES.search(label) else label for label in labels)


class CellReaders:
    """One reader for each kind of column, by the names in `columns`. Each reads a stripped cell or raises CellError.

    Dates without an offset are in `time_zone`. A deadline without a time is the end of its day there. Days without a
    year are counted from `uploaded_on`.
    """

    def __init__(
        self,
        time_zone: ZoneInfo,
        priorities: dict[str, TaskPriority],
        date_format: DateFormat,
        words: FileWords = FileWords(),  # noqa: B008 - it is frozen
        *,
        uploaded_on: date,
    ) -> None:
        self._dates = DateReaders(time_zone, date_format, uploaded_on=uploaded_on)
        self._priorities = priorities
        self._words = words
        statuses = StatusReaders(words)
        self.by_name: dict[str, CellReader] = {
            "title": _title,
            "content": _content,
            "description": _description,
            "todoist_description": self._todoist_description,
            "status": statuses.plain,
            "is_done": _is_done,
            "jira_status": statuses.of_jira,
            "trello_status": statuses.of_trello,
            "kanboard_status": statuses.of_kanboard,
            "priority": self._priority,
            "start_on": self._dates.day,
            "estimate": _estimate,
            "recurrence": _recurrence,
            "created_at": self._dates.moment,
            "started_at": self._dates.moment,
            "completed_at": self._dates.moment,
            "set_created_at": self._dates.set_moment,
            "set_completed_at": self._dates.set_moment,
            "due_at": self._dates.deadline,
            "due_on": self._dates.due_day,
            "set_due_at": self._dates.set_deadline,
            "todoist_due_at": self._dates.todoist_deadline,
            "labels": _labels,
            "labels_in_content": _labels_in_content,
            "assignee": self._assignee,
            "one_member": self._one_member,
            "numbered_person": self._numbered_person,
            "external_ref": _external_ref,
            "parent": _external_ref,
            "jira_parent": _jira_parent,
            "indent": _indent,
            "ref": _row_name,
            "only_tasks": _only_tasks,
        }

    def _priority(self, cell: str) -> TaskPriority:
        if not cell:
            return TaskPriority.MEDIUM
        priority = self._words.priorities.get(key_of(cell)) or self._priorities.get(cell) or priority_from(cell)
        if priority is None:
            raise CellError(f"{shown(cell)} is not a priority; say one of {', '.join(TaskPriority)}")
        return priority

    def _todoist_description(self, cells: str) -> str:
        return _description(self._dates.todoist_description(cells))

    def _assignee(self, cell: str) -> str | None:
        key = key_of(restored(cell))
        return read_name((self._words.people[key] or "") if key in self._words.people else cell)

    def _one_member(self, cell: str) -> str | None:
        if "," in cell and key_of(cell) not in self._words.people:
            raise CellError(f"{shown(cell)} are several people; a task has one assignee")
        return self._assignee(cell)

    def _numbered_person(self, cell: str) -> str | None:
        """Todoist writes a person as "Ada (123)"."""
        numbered = _NUMBERED_PERSON.fullmatch(cell)
        return self._assignee(cell if numbered is None else numbered[1])


def _title(cell: str) -> str:
    if not cell:
        raise CellError("is empty; a task needs a title")
    return _text(cell, MAX_TITLE_LENGTH)


def _content(cell: str) -> str:
    """A name without the labels in it, unless there is nothing else."""
    if _LABEL_IN_NAME.search(cell) is None:
        return _title(cell)
    return _title(" ".join(_LABEL_IN_NAME.sub("", cell).split()) or cell)


def _description(cell: str) -> str:
    return _text(cell, MAX_DESCRIPTION_LENGTH)


def _estimate(cell: str) -> float | None:
    if not cell:
        return None
    if _NUMBER.fullmatch(cell) is None or not (estimate := float(cell.replace(",", "."))) <= MAX_ESTIMATE:
        raise CellError(f"{shown(cell)} is not a number from 0 to {MAX_ESTIMATE:,}, such as 2.5")
    return estimate


def _recurrence(cell: str) -> str | None:
    if not cell:
        return None
    try:
        return normalised(cell)
    except RuleError as error:
        raise CellError(f"{shown(cell)} {error}") from None


def _is_done(cell: str) -> TaskStatus:
    """In a column named `done`, true means done. As a status, it means todo."""
    match cell.lower():
        case "true" | "1" | "yes":
            return TaskStatus.DONE
        case "false" | "0" | "no" | "":
            return TaskStatus.TODO
    raise CellError(f"{shown(cell)} is neither true nor false")


def _labels(cell: str) -> list[str]:
    return _fitting_labels(
        quoted.replace('""', '"').strip() if quoted else plain.strip()
        for quoted, plain in _LABEL.findall(restored(cell))
    )


def _labels_in_content(cell: str) -> list[str]:
    return _fitting_labels(labels_in_name(cell))


def labels_in_name(name: str) -> list[str]:
    return _LABEL_IN_NAME.findall(name)


def _fitting_labels(labels: Iterable[str]) -> list[str]:
    labels = list(dict.fromkeys(label for label in labels if label))
    if len(labels) > MAX_LABELS:
        raise CellError(f"holds {len(labels)} labels; {MAX_LABELS} are the most")
    for label in labels:
        ensure_fits(label, MAX_LABEL_LENGTH)
    return labels


def read_name(cell: str) -> str | None:
    name = restored(cell)
    if name and not (name.isprintable() and skeleton_of(name)):
        raise CellError("holds characters that a name cannot have")
    if name.lower() in RESERVED_USERNAMES:
        raise CellError(f"{shown(name)} is nobody's name; leave the cell empty for nobody")
    ensure_fits(name, MAX_EMAIL_LENGTH if "@" in name else MAX_USERNAME_LENGTH)
    return name or None


def _external_ref(cell: str) -> str | None:
    return _text(cell, MAX_EXTERNAL_REF_LENGTH) or None


def _jira_parent(cells: str) -> str | None:
    """Jira names a parent by its key, its id or both."""
    return next((_external_ref(cell) for cell in parts_of(cells, 3) if cell), None)


def _indent(cell: str) -> int:
    """The level of a row of Todoist. A row below our last level counts as one on that level."""
    if not cell:
        return 1
    if not (cell.isascii() and cell.isdigit() and len(cell) <= MAX_INDENT_DIGITS and int(cell) > 0):
        raise CellError(f"{shown(cell)} is not a level such as 1 or 2")
    return min(int(cell), MAX_LEVELS)


def _row_name(cell: str) -> str | None:
    """The name by which other rows refer to a row. No row can name a longer one, so that one is no name."""
    name = restored(cell)
    return name if 0 < len(name) <= MAX_EXTERNAL_REF_LENGTH and "\x00" not in name else None


def _only_tasks(cell: str) -> bool:
    """False for the rows of Todoist's files that are no tasks and are skipped."""
    match cell.lower():
        case "" | "task":
            return True
        case "section" | "note" | "meta":
            return False
    raise CellError(f"{shown(cell)} is neither task, section, note nor meta")


def _text(cell: str, max_length: int) -> str:
    text = restored(cell)
    ensure_fits(text, max_length)
    return text


def ensure_fits(text: str, max_length: int) -> None:
    if "\x00" in text:
        raise CellError("holds a NUL character")
    if len(text) > max_length:
        raise CellError(f"has {len(text)} characters; {max_length} are the most")
