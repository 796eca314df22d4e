"""How the rows of a file of comments are read: the columns are those that the export of comments writes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from app.clock import in_zone
from app.csv_files.cell_parts import MAX_SHOWN_LENGTH, CellError, shown
from app.csv_files.cells import ensure_fits, read_name, restored
from app.csv_files.columns import Column, Layout, folded_name, layout_with
from app.csv_files.moments import moment_of, parse_date
from app.csv_files.numbered import NumberedRow, RowProblem, numbered_rows, problem_of_shape
from app.csv_files.rows import RefusedRow
from app.errors import UnreadableCsvError
from app.models.comments.comment import MAX_BODY_LENGTH
from app.models.imports.task_import import DateFormat
from app.models.tasks.fields import MAX_EXTERNAL_REF_LENGTH

COLUMNS = ("task", "external_ref", "author", "created_at", "body")
_NEEDED = ("author", "body")


class ReadComment(NamedTuple):
    """A good row. Its cells are kept in case the row has to be refused later."""

    row: NumberedRow
    # In capital letters. At least one of the two names is there.
    ref: str | None
    external_ref: str | None
    author: str
    # None if the file does not say it.
    created_at: datetime | None
    body: str


def comment_layout(header: Sequence[str], _column_map: Mapping[str, str | None] | None = None) -> Layout:
    """The layout of a file of comments. Other columns are ignored and listed.

    Raises UnreadableCsvError for a header that lacks a column, or has one twice.
    """
    folded = [folded_name(name) for name in header]
    missing = [name for name in _NEEDED if name not in folded]
    if missing or not {"task", "external_ref"} & set(folded):
        raise UnreadableCsvError(
            f"the first line must name the columns {', '.join(COLUMNS)}; created_at may be absent, and one of task and "
            "external_ref"
        )
    twice = [name for name in COLUMNS if folded.count(name) > 1]
    if twice:
        raise UnreadableCsvError(f"more than one column for {', '.join(twice)}")
    return layout_with(header, {name: folded.index(name) for name in COLUMNS if name in folded})


class CommentReader:
    """Reads the blocks of one file. Times without an offset are in `time_zone`."""

    def __init__(self, layout: Layout, delimiter: str, time_zone: ZoneInfo, *, cell_characters: int) -> None:
        self._layout = layout
        self._delimiter = delimiter
        self._time_zone = time_zone
        self._max_cell_characters = cell_characters
        self._columns: dict[str, Column] = {column.reader: column for column in layout.columns}

    def column_of(self, field: str) -> str | None:
        """The name of the file's column, or None if it has none."""
        return self._columns[field].name if field in self._columns else None

    def read(
        self, text: str, *, first_row: int, first_line: int, first_sheet_row: int | None
    ) -> Iterator[ReadComment | RefusedRow]:
        for row in numbered_rows(
            text, self._delimiter, first_row=first_row, first_line=first_line, first_sheet_row=first_sheet_row
        ):
            problem = problem_of_shape(row.cells, width=self._layout.width, max_characters=self._max_cell_characters)
            yield self._read_row(row) if problem is None else refused(self._cut(row), problem)

    def _cut(self, row: NumberedRow) -> NumberedRow:
        return row._replace(cells=[cell[: self._max_cell_characters] for cell in row.cells])

    def _read_row(self, row: NumberedRow) -> ReadComment | RefusedRow:
        readers = {
            "task": _ref,
            "external_ref": _external_ref,
            "author": _author,
            "created_at": self._created_at,
            "body": _body,
        }
        values: dict[str, Any] = {}
        problems = []
        for field, read in readers.items():
            cell = row.cells[self._columns[field].index] if field in self._columns else ""
            try:
                values[field] = read(cell if field == "body" else cell.strip())
            except CellError as error:
                problems.append(RowProblem(self.column_of(field), cell[:MAX_SHOWN_LENGTH], str(error)))
        if not problems and values["task"] is None and values["external_ref"] is None:
            name = self.column_of("task") or self.column_of("external_ref")
            problems.append(RowProblem(name, "", "is empty; a comment needs a task"))
        if problems:
            return refused(row, *problems)
        ref, external_ref, author, created_at, body = values.values()
        return ReadComment(row, ref, external_ref, author, created_at, body)

    def _created_at(self, cell: str) -> datetime | None:
        if not cell:
            return None
        parsed = parse_date(cell, DateFormat.ISO)
        if parsed is None:
            raise CellError(f"{shown(cell)} is not a time such as 2026-03-09T16:45:00+00:00")
        return in_zone(moment_of(parsed), self._time_zone)


def refused(row: NumberedRow, *problems: RowProblem) -> RefusedRow:
    return RefusedRow(row.row_number, row.line_number, row.sheet_row, row.cells, problems)


def _ref(cell: str) -> str | None:
    return restored(cell).upper() or None


def _external_ref(cell: str) -> str | None:
    text = restored(cell)
    ensure_fits(text, MAX_EXTERNAL_REF_LENGTH)
    return text or None


def _author(cell: str) -> str:
    name = read_name(cell)
    if name is None:
        raise CellError("is empty; a comment needs an author")
    return name


def _body(cell: str) -> str:
    """The text exactly as it was written, with the blanks around it."""
    body = restored(cell)
    if not body.strip():
        raise CellError("is empty; a comment needs a text")
    ensure_fits(body, MAX_BODY_LENGTH)
    return body
