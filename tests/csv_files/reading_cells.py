"""Read a single cell as a file's row does."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from app.csv_files.cell_parts import CellError
from app.csv_files.cells import CellReaders
from app.models.imports.task_import import DateFormat


def read(reader, cell, *, zone="UTC", date_format=DateFormat.US):
    return CellReaders(ZoneInfo(zone), {}, date_format, uploaded_on=date(2026, 3, 1)).by_name[reader](cell)


def refusal(reader, cell, *, date_format=DateFormat.US):
    with pytest.raises(CellError) as caught:
        read(reader, cell, date_format=date_format)
    return str(caught.value)
