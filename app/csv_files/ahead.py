"""Reads the next block of a file while PostgreSQL works on the block before."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from app.csv_files.comments import CommentReader, ReadComment
from app.csv_files.rows import AnyRow, RowReader
from app.models.imports.task_import import ImportBlock

RowOfFile = AnyRow | ReadComment


class ReadAhead:
    """Reads in a thread."""

    def __init__(self, reader: RowReader | CommentReader) -> None:
        self.reader = reader
        self._executor = ThreadPoolExecutor(max_workers=1)
        self._next: tuple[int, Future[list[RowOfFile]]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._executor.shutdown()

    def is_at(self, number: int) -> bool:
        return self._next is not None and self._next[0] == number

    def begin(self, block: ImportBlock) -> None:
        self._next = block.number, self._executor.submit(self._read, block)

    def rows(self) -> Sequence[RowOfFile]:
        """The rows of the block passed to the last `begin`."""
        if self._next is None:
            raise RuntimeError("call begin() with a block first")
        return self._next[1].result()

    def _read(self, block: ImportBlock) -> list[RowOfFile]:
        return [
            *self.reader.read(
                block.body.decode(),
                first_row=block.first_row,
                first_line=block.first_line,
                first_sheet_row=block.first_sheet_row,
            )
        ]
