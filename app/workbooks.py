"""Writes rows as an XLSX workbook: numbers are numbers, dates are dates, and everything else is text.

Memory stays the same however many rows there are, because XlsxWriter writes each row to a temporary file.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError, FileSizeError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from app.errors import InvalidError

# A sheet has room for this many rows below its header.
MAX_ROWS = 1_048_575
# Excel has no earlier century, and it takes 1900 for a leap year. An earlier date is written as text.
FIRST_DATE = datetime(1900, 3, 1)  # noqa: DTZ001 - a sheet has no time zones
# Excel shows number signs in place of a date that is wider than its column.
COLUMN_WIDTH = 20
PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class WorkbookPiece:
    """The next bytes of the file. The last piece says how many rows the file has."""

    content: bytes
    row_count: int = 0


class SheetIsFullError(InvalidError):
    def __init__(self) -> None:
        error = InvalidError.of(
            "format",
            f"the rows do not fit into a sheet, which holds at most {MAX_ROWS:,}; ask for csv or for fewer rows",
        )
        super().__init__(error.detail, problems=error.problems)


def workbook_pieces(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, sheet_name: str, time_zone: ZoneInfo
) -> Iterator[WorkbookPiece]:
    """Write the rows below a header that stays in view. Times are shown as they are in `time_zone`.

    Raises SheetIsFullError for more than MAX_ROWS rows or 2 GiB of text, and OSError if the disk is full.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "workbook.xlsx")
        workbook = Workbook(str(path), {"constant_memory": True, "tmpdir": directory})
        sheet = workbook.add_worksheet(sheet_name, _Sheet)
        with closing(sheet):
            sheet.write_header(header, workbook.add_format({"bold": True}))
            row_count = sheet.write_rows(
                rows,
                time_zone,
                date_format=workbook.add_format({"num_format": "yyyy-mm-dd"}),
                time_format=workbook.add_format({"num_format": "yyyy-mm-dd hh:mm"}),
                # A text that somebody edits stays text, too.
                text_format=workbook.add_format({"num_format": "@"}),
            )
            _finish(workbook)
        with path.open("rb") as file:
            while content := file.read(PIECE_BYTES):
                yield WorkbookPiece(content)
        yield WorkbookPiece(b"", row_count)


class _Sheet(Worksheet):  # type: ignore[misc]
    """A sheet of rows. Text is written as text, whatever it looks like."""

    def write_header(self, names: Sequence[str], bold: Format) -> None:
        self.freeze_panes(1, 0)
        self.set_column(0, len(names) - 1, COLUMN_WIDTH)
        for column, name in enumerate(names):
            self.write_string(0, column, name, bold)

    def write_rows(
        self,
        rows: Iterable[Sequence[object]],
        time_zone: ZoneInfo,
        *,
        date_format: Format,
        time_format: Format,
        text_format: Format,
    ) -> int:
        """Write the rows below the header and return their number."""
        row_number = 0
        for row_number, row in enumerate(rows, 1):
            if row_number > MAX_ROWS:
                raise SheetIsFullError
            for column, value in enumerate(row):
                match value:
                    case None:
                        pass
                    case int() | float():
                        self.write_number(row_number, column, value)
                    case datetime() if (local := value.astimezone(time_zone).replace(tzinfo=None)) >= FIRST_DATE:
                        self.write_datetime(row_number, column, local, time_format)
                    case datetime():
                        self.write_string(row_number, column, value.isoformat(), text_format)
                    case date() if value >= FIRST_DATE.date():
                        self.write_datetime(row_number, column, value, date_format)
                    case _:
                        self.write_string(row_number, column, str(value), text_format)
        return row_number

    def close(self) -> None:
        """Close the temporary files that an unfinished workbook leaves open."""
        self.row_data_fh.close()
        self.fh.close()

    def _xml_rich_inline_string(self, string: str, attributes: Any) -> None:
        """Escape a text between <r> and </r>. XlsxWriter takes it for markup of its own, so it could be a formula."""
        self._xml_inline_string(string, None, attributes)


def _finish(workbook: Workbook) -> None:
    try:
        workbook.close()
    except FileCreateError as error:
        # It wraps the error of the system.
        raise error.args[0] from error
    except FileSizeError:
        # Above 2 GiB the file would need a format that Excel offers to repair.
        raise SheetIsFullError from None
