"""Read the rows of a file that a test writes."""

import io
from datetime import date
from zoneinfo import ZoneInfo

from app.csv_files.blocks import CsvFile
from app.csv_files.rows import ReadRow, RefusedRow, RowReader
from app.csv_files.words import FileWords
from app.models.imports.task_import import DateFormat
from tests.settings import CSV_LIMITS


def read(*lines, **options):
    return read_bytes("\n".join([*lines, ""]).encode(), **options)


def read_bytes(content, *, encoding=None, **options):
    file = opened(content, encoding=encoding)
    reader = reader_of(file, **options)
    return [
        row
        for block in file.blocks()
        for row in reader.read(
            block.text, first_row=block.first_row, first_line=block.first_line, first_sheet_row=block.first_sheet_row
        )
    ]


def opened(content, *, encoding=None):
    return CsvFile(io.BytesIO(content), CSV_LIMITS, encoding=encoding)


def reader_of(file, *, zone="UTC", date_format=DateFormat.US, words=FileWords()):  # noqa: B008 - it is frozen
    return RowReader(
        file.layout,
        file.delimiter,
        ZoneInfo(zone),
        date_format=date_format,
        cell_characters=CSV_LIMITS.cell_characters,
        words=words,
        uploaded_on=date(2026, 3, 1),
    )


def good(*lines):
    (row,) = read(*lines)
    assert isinstance(row, ReadRow), row
    return row.row


def refused(*lines):
    (row,) = read(*lines)
    assert isinstance(row, RefusedRow), row
    return row
