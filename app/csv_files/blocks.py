"""Cuts an uploaded CSV into blocks of whole rows while it comes in, and finds its encoding, delimiter and header.

Memory does not grow with the file. The module `rows` reads the contents of the rows.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from app.csv_files.columns import KNOWN_NAMES, Layout, folded_name, is_ours, layout_of
from app.csv_files.encodings import ByteStream, DecodedText, Encoding, wrong_encoding
from app.errors import TooLargeError, UnreadableCsvError
from app.settings import CsvLimits

DELIMITERS = (",", ";", "\t", "|")
BLOCK_ROWS = 4_000
BLOCK_CHARACTERS = 1024 * 1024
# The header is the first row.
FIRST_SHEET_ROW = 2
# A spreadsheet has at most this many rows, and may leave blank ones after its last row.
MAX_BLANK_ROWS = 2**20
# A longer row probably has a quote that is never closed. Without a limit, memory would hold the rest of the file.
MAX_ROW_CHARACTERS = 1024 * 1024


def allow_long_cells() -> None:
    """Raise the limit that the csv module sets for the whole process, so that our own limits apply first."""
    csv.field_size_limit(MAX_ROW_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Block:
    """Whole rows of the file, unchanged.

    Rows are counted from 1 after the header, without blank ones. Lines are counted from 1 with the header. So are the
    rows of a spreadsheet that shows the file: there, a row may have several lines, and a blank line is a row.
    """

    first_row: int
    first_line: int
    first_sheet_row: int
    row_count: int
    text: str


# A line before the header that tells Excel the delimiter.
_SEPARATOR_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)


FindLayout = Callable[[Sequence[str], Mapping[str, str | None] | None], Layout]


class CsvFile:
    """The constructor reads the header. It raises UnreadableCsvError or TooLargeError, and so does `blocks`.

    `kept_column_map` stands in for a `column_map` of None, except in a file of our own.
    """

    def __init__(
        self,
        stream: ByteStream,
        limits: CsvLimits,
        *,
        encoding: Encoding | None = None,
        delimiter: str | None = None,
        column_map: Mapping[str, str | None] | None = None,
        kept_column_map: Mapping[str, str | None] | None = None,
        find_layout: FindLayout = layout_of,
    ) -> None:
        self._limits = limits
        self.text = DecodedText(stream, encoding)
        self._lines = _Lines(self.text.pieces())
        self._lines_before = 0
        first_line = _first_line(self._lines)
        separator = _SEPARATOR_LINE.fullmatch(first_line)
        if separator is not None and separator[1] in DELIMITERS:
            self._lines_before = 1
            delimiter = delimiter or separator[1]
            first_line = _first_line(self._lines)
        meant_columns = kept_column_map if column_map is None else column_map
        self.delimiter = delimiter or _delimiter_of(first_line, meant_columns or {})
        self._rows: Any = csv.reader(chain([first_line], self._lines), delimiter=self.delimiter, strict=True)
        self.header: list[str] = self._next() or []
        if any("\x00" in name for name in self.header):
            raise UnreadableCsvError("the name of a column holds a NUL character")
        if len(self.header) > limits.columns:
            raise TooLargeError(f"the file has {len(self.header)} columns; {limits.columns} are the most")
        self.is_ours = is_ours(self.header)
        self.layout: Layout = find_layout(self.header, column_map if self.is_ours else meant_columns)
        self._lines.take()

    def blocks(self) -> Iterator[Block]:
        row_number = row_count = blank_count = 0
        first_line, first_sheet_row, sheet_row = self._next_line, FIRST_SHEET_ROW, FIRST_SHEET_ROW
        is_open = True
        while is_open:
            cells = self._next()
            if cells is None:
                is_open = False
            elif is_blank(cells):
                blank_count += 1
                if blank_count > MAX_BLANK_ROWS:
                    raise TooLargeError(f"the file has more than {MAX_BLANK_ROWS} blank lines")
            else:
                row_count += 1
            sheet_row += 1
            self._lines.end_row()
            if row_count == BLOCK_ROWS or self._lines.taken_characters >= BLOCK_CHARACTERS or not is_open:
                text = self._lines.take()
                if row_count:
                    yield Block(row_number + 1, first_line, first_sheet_row, row_count, text)
                row_number += row_count
                row_count = 0
                first_line, first_sheet_row = self._next_line, sheet_row
                if row_number > self._limits.rows:
                    raise TooLargeError(f"the file has more than {self._limits.rows} rows; send it in parts")

    @property
    def _next_line(self) -> int:
        return self._lines_before + int(self._rows.line_num) + 1

    def _next(self) -> list[str] | None:
        """The cells of the next row; None at the end of the file."""
        line_number = self._next_line
        try:
            cells: list[str] | None = next(self._rows, None)
        except csv.Error as error:
            raise UnreadableCsvError(f"line {line_number}: {_explanation_of(error)}") from None
        except UnicodeDecodeError as error:
            raise UnreadableCsvError(wrong_encoding(error, self._next_line)) from None
        return cells


def is_blank(cells: list[str]) -> bool:
    """True for a row of empty cells, which spreadsheets leave behind and which does not count."""
    for cell in cells:  # noqa: SIM110 - as any() it takes three times as long, for every row of every file
        if cell.strip():
            return False
    return True


class _Lines:
    """Lines with their line ends, as `csv` needs them. They are collected until they are taken."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self.lines = _split(pieces)
        self._taken: list[str] = []
        self._row_characters = 0
        self.taken_characters = 0

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self._taken.append(line)
            self.taken_characters += len(line)
            self._row_characters += len(line)
            if self._row_characters > MAX_ROW_CHARACTERS:
                raise csv.Error("field limit")
            yield line

    def end_row(self) -> None:
        self._row_characters = 0

    def take(self) -> str:
        text = "".join(self._taken)
        self._taken.clear()
        self.taken_characters = 0
        return text


def _first_line(lines: _Lines) -> str:
    """The first line, taken out of the stream. The caller passes it to the reader once the delimiter is known."""
    try:
        line = next(lines.lines, "")
    except csv.Error as error:
        raise UnreadableCsvError(f"line 1: {_explanation_of(error)}") from None
    except UnicodeDecodeError as error:
        raise UnreadableCsvError(wrong_encoding(error, 1)) from None
    if not line.strip():
        raise UnreadableCsvError("the first line is empty; it must name the columns")
    return line


def _split(pieces: Iterator[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        text = rest + piece
        # A carriage return at the very end may be the first half of a line end.
        end = max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1
        rest = text[end:]
        if len(rest) > MAX_ROW_CHARACTERS:
            raise csv.Error("field limit")
        yield from io.StringIO(text[:end], newline="")
    yield from io.StringIO(rest, newline="")


def _delimiter_of(header_line: str, column_map: Mapping[str, str | None]) -> str:
    """The delimiter with which the header has the most known columns, or columns that the map names."""
    mapped = {folded_name(name) for name in column_map}

    def known_columns(delimiter: str) -> int:
        try:
            names = next(csv.reader([header_line], delimiter=delimiter), [])
        except csv.Error:
            return 0
        folded = map(folded_name, names)
        return sum(name in KNOWN_NAMES or name.casefold() in mapped for name in folded)

    return max(DELIMITERS, key=known_columns)


def _explanation_of(error: csv.Error) -> str:
    message = str(error)
    if "unexpected end of data" in message:
        return "a quote is opened and never closed"
    if "expected after" in message:
        return "a quoted cell goes on after its closing quote"
    if "field limit" in message or "field larger" in message:
        return f"the row is longer than {MAX_ROW_CHARACTERS} characters; is a quote opened and never closed?"
    return message
