"""Open CSV content and read its cells."""

import csv
import io

from app.csv_files.blocks import CsvFile, is_blank
from app.csv_files.encodings import PIECE_BYTES
from app.errors import TooLargeError, UnreadableCsvError
from app.settings import CsvLimits
from tests.settings import CSV_LIMITS


class InPieces:
    """A stream that gives small pieces, as a slow network does."""

    def __init__(self, content, size):
        self._content = content
        self._size = size
        self.position = 0

    def read(self, size):
        piece = self._content[self.position : self.position + min(size, self._size)]
        self.position += len(piece)
        return piece


def opened(content, *, limits=CSV_LIMITS, size=PIECE_BYTES, encoding=None, delimiter=None):
    return CsvFile(InPieces(content, size), limits, encoding=encoding, delimiter=delimiter)


def cells_of(content, **options):
    """List the cells of each row, block after block."""
    file = opened(content, **options)
    return [
        cells
        for block in file.blocks()
        for cells in csv.reader(io.StringIO(block.text, newline=""), delimiter=file.delimiter, strict=True)
        if not is_blank(cells)
    ]


def ensure_read_or_refused(content, **options):
    try:
        rows = cells_of(content, **options)
    except (UnreadableCsvError, TooLargeError):
        return
    assert all(isinstance(cell, str) for cells in rows for cell in cells)


def limits(*, rows):
    return CsvLimits(rows=rows, columns=50, cell_characters=50_000)
