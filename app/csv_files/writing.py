"""Writes rows as CSV: spreadsheets open it without running formulas, and our own import reads back the same values."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.csv_files.cells import defused, join_labels, restored
from app.csv_files.columns import folded_name
from app.csv_files.encodings import UTF_8, byte_order_mark

ERROR_COLUMN = "error"


@dataclass(frozen=True, slots=True)
class ReportedRow:
    """A refused row of the report, with all its problems in one message."""

    row_number: int
    cells: list[str]
    message: str


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of a file, and the number of rows in them. A header counts as no row."""

    content: bytes
    row_count: int


@dataclass(frozen=True, slots=True)
class FileForm:
    """How a file is written: `codec` is Python's name of its encoding, which a byte order mark may precede."""

    delimiter: str = ","
    codec: str = UTF_8
    has_bom: bool = False


OUR_FORM = FileForm()


def value_header(names: Sequence[str]) -> Lines:
    return Lines(_lines([names]), 0)


def value_rows(rows: Sequence[Sequence[object]]) -> Lines:
    """Write rows of values, such as numbers, dates and texts."""
    return Lines(_lines([_cell_of(value) for value in row] for row in rows), len(rows))


def value_file(names: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[Lines]:
    """Write a file whose rows are in memory already."""
    yield value_header(names)
    yield value_rows(rows)


def report_header(header: Sequence[str], form: FileForm = OUR_FORM) -> Lines:
    mark = byte_order_mark(form.codec) if form.has_bom else b""
    return Lines(mark + _lines([[*map(defused, _without_errors(header, header)), ERROR_COLUMN]], form), 0)


def report_rows(header: Sequence[str], rows: Sequence[ReportedRow], form: FileForm = OUR_FORM) -> Lines:
    """Write each row as it was uploaded, with its problems. An error column of an earlier report is left out."""
    return Lines(_lines(([*_as_wide_as(header, row.cells), row.message] for row in rows), form), len(rows))


def _as_wide_as(header: Sequence[str], cells: Sequence[str]) -> list[str]:
    padded = [*cells, *[""] * (len(header) - len(cells))]
    return [defused(restored(_without_leading_break(cell))) for cell in _without_errors(header, padded)]


def _without_leading_break(cell: str) -> str:
    """Strip a leading line break or tab: a spreadsheet would skip it and run the formula behind it."""
    return cell.lstrip() if cell[:1] in {"\t", "\r", "\n"} else cell


def _without_errors(header: Sequence[str], cells: Sequence[str]) -> list[str]:
    names = [*header, *[""] * (len(cells) - len(header))]
    return [cell for name, cell in zip(names, cells, strict=True) if folded_name(name) != ERROR_COLUMN]


def _cell_of(value: object) -> str:
    match value:
        case None:
            return ""
        case int() | float():
            # A whole number as people write it.
            return str(value).removesuffix(".0")
        case datetime():
            return value.isoformat(timespec="microseconds")
        case list():
            return defused(join_labels(value))
        case _:
            return defused(str(value))


def _lines(rows: Iterable[Iterable[str]], form: FileForm = OUR_FORM) -> bytes:
    """A character that the encoding lacks becomes a question mark: the one that stands for NUL in a report."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=form.delimiter).writerows(rows)
    return text.getvalue().encode(form.codec, "replace")
