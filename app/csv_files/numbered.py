"""The rows of a block, where they stand in the file, and the problems of those that do not fit its header."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from app.csv_files.blocks import is_blank


class NumberedRow(NamedTuple):
    """The row of a spreadsheet is None if the block does not say where in the sheet it begins."""

    row_number: int
    line_number: int
    sheet_row: int | None
    cells: list[str]


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A reason to refuse a row; a row may have several. `column` is None if the problem is not in one cell."""

    column: str | None
    value: str | None
    reason: str


def numbered_rows(
    text: str, delimiter: str, *, first_row: int, first_line: int, first_sheet_row: int | None
) -> Iterator[NumberedRow]:
    """The rows in the order of the file. The text is valid CSV: that was checked when blocks were cut."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    row_number = first_row - 1
    line_number = first_line
    for place, cells in enumerate(rows):
        first_of_row, line_number = line_number, first_line + rows.line_num
        if is_blank(cells):
            continue
        row_number += 1
        yield NumberedRow(row_number, first_of_row, None if first_sheet_row is None else first_sheet_row + place, cells)


def problem_of_shape(cells: list[str], *, width: int, max_characters: int) -> RowProblem | None:
    """The problem of a row with too many cells or too few, or with a cell that is too long."""
    if len(cells) != width:
        count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
        return RowProblem(None, None, f"has {count}, the header has {width}")
    longest = max(map(len, cells))
    if longest > max_characters:
        return RowProblem(None, None, f"has a cell of {longest} characters; {max_characters} are the most")
    return None
