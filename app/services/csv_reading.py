"""How a CSV file becomes rows, each good or with the reasons why not. No database, no files: a stream in, rows out."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from app.errors import UnreadableCsvError
from app.models.task import (
    MAX_DESCRIPTION_LENGTH,
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    MAX_TITLE_LENGTH,
    TaskPriority,
    TaskStatus,
    priority_from,
    status_from,
)
from app.models.user import MAX_USERNAME_LENGTH, RESERVED_USERNAMES
from app.repositories.import_rows import RowProblem, StagedRow
from app.services.moments import in_zone, parse_moment

DELIMITERS = ",;\t|"
SNIFF_BYTES = 64 * 1024
MAX_SHOWN_LENGTH = 200

# What each column may be called, in any case, with spaces or hyphens for underscores.
HEADER_ALIASES: dict[str, str] = {
    **dict.fromkeys(("title", "task_name", "task", "name", "summary", "subject"), "title"),
    **dict.fromkeys(("description", "details", "body", "notes"), "description"),
    **dict.fromkeys(("status", "state"), "status"),
    **dict.fromkeys(("priority",), "priority"),
    **dict.fromkeys(("created_at", "created", "created_date", "date_created"), "created_at"),
    **dict.fromkeys(("assigned_user", "assignee", "assigned_to"), "assignee"),
    **dict.fromkeys(("due_at", "due", "due_date", "deadline"), "due_at"),
    **dict.fromkeys(("labels", "tags"), "labels"),
}


class CellError(ValueError):
    """Why a cell was refused, as the sentence that the report shows."""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row of the file: either `staged`, or refused for its `problems`."""

    staged: StagedRow | None
    problems: tuple[RowProblem, ...] = ()


def read_rows(stream: BinaryIO, *, time_zone: ZoneInfo) -> Iterator[ReadRow]:
    """Raises UnreadableCsvError, possibly midway, when the file as a whole makes no sense.

    `stream` must be seekable. Dates without a time are midnight in `time_zone`.
    """
    lines = _decoded(stream)
    header_line = _first_line(lines)
    reader = csv.reader(lines, strict=True)
    try:
        reader = csv.reader(lines, delimiter=_delimiter_of(header_line), strict=True)
        header = next(reader)
        columns = _columns_of(header)
        yield from _read(reader, header, columns, time_zone)
    except csv.Error as error:
        raise UnreadableCsvError(f"line {reader.line_num}: {_in_plain_words(error)}") from None
    except UnicodeDecodeError as error:
        encoding = "UTF-16" if error.encoding.startswith("utf-16") else "UTF-8 or Windows-1252"
        raise UnreadableCsvError(f"the file is not {encoding} text from line {reader.line_num + 1} on") from None


def _read(reader: Any, header: Sequence[str], columns: Sequence[str], time_zone: ZoneInfo) -> Iterator[ReadRow]:
    parsers = [_PARSERS[column] for column in columns]
    row_number = 0
    line_number = reader.line_num + 1
    for cells in reader:
        first_line, line_number = line_number, reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        row_number += 1
        if len(cells) != len(columns):
            reason = f"has {len(cells)} cells, the header has {len(columns)}"
            yield ReadRow(None, (RowProblem(row_number, first_line, None, None, reason),))
            continue
        values: dict[str, Any] = {}
        problems: list[RowProblem] = []
        for name, column, parse, cell in zip(header, columns, parsers, cells, strict=True):
            try:
                values[column] = parse(cell.strip(), time_zone)
            except CellError as error:
                shown = cell.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:MAX_SHOWN_LENGTH]
                problems.append(RowProblem(row_number, first_line, name.strip(), shown, str(error)))
        yield ReadRow(None, tuple(problems)) if problems else ReadRow(_staged(row_number, first_line, values))


def _staged(row_number: int, line_number: int, values: dict[str, Any]) -> StagedRow:
    return StagedRow(
        row_number=row_number,
        line_number=line_number,
        title=values["title"],
        description=values.get("description", ""),
        status=values.get("status", TaskStatus.TODO),
        priority=values.get("priority", TaskPriority.MEDIUM),
        created_at=values.get("created_at"),
        due_at=values.get("due_at"),
        labels=values.get("labels", ()),
        assignee=values.get("assignee"),
    )


def _decoded(stream: BinaryIO) -> io.TextIOWrapper:
    start = stream.read(SNIFF_BYTES)
    if not start.strip():
        raise UnreadableCsvError("the file is empty")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\x00" in start:
        raise UnreadableCsvError("the file is not a CSV: it holds binary data")
    else:
        encoding = "utf-8-sig" if _is_utf_8(stream) else "cp1252"
    stream.seek(0)
    return io.TextIOWrapper(stream, encoding=encoding, newline="")


def _is_utf_8(stream: BinaryIO) -> bool:
    stream.seek(0)
    try:
        for _ in io.TextIOWrapper(io.BufferedReader(_Kept(stream)), encoding="utf-8"):
            pass
    except UnicodeDecodeError:
        return False
    return True


class _Kept(io.RawIOBase):
    """Reads a stream without closing it when the reader is thrown away."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _first_line(lines: io.TextIOWrapper) -> str:
    try:
        line = lines.readline()
    except UnicodeDecodeError:
        raise UnreadableCsvError("the file is not text in any encoding that is read here") from None
    lines.seek(0)
    if not line.strip():
        raise UnreadableCsvError("the first line is empty; it must name the columns")
    return line


def _delimiter_of(header_line: str) -> str:
    """The one that makes most known columns of the header."""

    def known_columns(delimiter: str) -> int:
        names = next(csv.reader([header_line], delimiter=delimiter), [])
        return sum(_folded(name) in HEADER_ALIASES for name in names)

    return max(DELIMITERS, key=known_columns)


def _columns_of(header: Sequence[str]) -> list[str]:
    known = ", ".join(
        sorted({"task_name", "description", "status", "priority", "created_at", "assigned_user", "due_at"})
    )
    found = [HEADER_ALIASES.get(_folded(name)) for name in header]
    if "title" not in found:
        raise UnreadableCsvError(
            f"the first line names no task_name or title column; it must name the columns, such as: {known}"
        )
    unknown = [name.strip()[:50] or "(empty)" for name, column in zip(header, found, strict=True) if column is None]
    if unknown:
        raise UnreadableCsvError(f"unknown columns: {', '.join(unknown[:10])}; known are: {known}, labels")
    columns = [column for column in found if column is not None]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise UnreadableCsvError(f"more than one column for {', '.join(twice)}")
    return columns


def _folded(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _in_plain_words(error: csv.Error) -> str:
    words = str(error)
    if "unexpected end of data" in words:
        return "a quote is opened and never closed"
    if "expected after" in words:
        return "a quoted cell goes on after its closing quote"
    if "field limit" in words:
        return f"a cell is longer than {csv.field_size_limit()} characters"
    return words


def _title(cell: str, _zone: ZoneInfo) -> str:
    if not cell:
        raise CellError("is empty; a task needs a title")
    return _text(cell, MAX_TITLE_LENGTH)


def _description(cell: str, _zone: ZoneInfo) -> str:
    return _text(cell, MAX_DESCRIPTION_LENGTH)


def _status(cell: str, _zone: ZoneInfo) -> TaskStatus:
    if not cell:
        return TaskStatus.TODO
    status = status_from(cell)
    if status is None:
        raise CellError(f"{_shown(cell)} is not a status; say one of {', '.join(TaskStatus)}")
    return status


def _priority(cell: str, _zone: ZoneInfo) -> TaskPriority:
    if not cell:
        return TaskPriority.MEDIUM
    priority = priority_from(cell)
    if priority is None:
        raise CellError(f"{_shown(cell)} is not a priority; say one of {', '.join(TaskPriority)}")
    return priority


def _moment(cell: str, zone: ZoneInfo) -> datetime | None:
    if not cell:
        return None
    moment = parse_moment(cell)
    if moment is None:
        raise CellError(f"{_shown(cell)} is not a date; write YYYY-MM-DD or M/D/YYYY")
    return in_zone(moment, zone)


def _assignee(cell: str, _zone: ZoneInfo) -> str | None:
    if cell and not cell.isprintable():
        raise CellError("holds characters that a name cannot have")
    if cell.lower() in RESERVED_USERNAMES:
        raise CellError(f"{_shown(cell)} is nobody's name; leave the cell empty for nobody")
    return _text(cell, MAX_USERNAME_LENGTH) or None


def _labels(cell: str, _zone: ZoneInfo) -> tuple[str, ...]:
    labels = tuple(dict.fromkeys(label.strip() for label in cell.replace(";", ",").split(",") if label.strip()))
    if len(labels) > MAX_LABELS:
        raise CellError(f"holds {len(labels)} labels; {MAX_LABELS} are the most")
    return tuple(_text(label, MAX_LABEL_LENGTH) for label in labels)


def _text(cell: str, max_length: int) -> str:
    if "\x00" in cell:
        raise CellError("holds a NUL character")
    if len(cell) > max_length:
        raise CellError(f"has {len(cell)} characters; {max_length} are the most")
    return cell


def _shown(cell: str) -> str:
    return repr(cell[:MAX_SHOWN_LENGTH])


_PARSERS: dict[str, Callable[[str, ZoneInfo], Any]] = {
    "title": _title,
    "description": _description,
    "status": _status,
    "priority": _priority,
    "created_at": _moment,
    "due_at": _moment,
    "assignee": _assignee,
    "labels": _labels,
}
