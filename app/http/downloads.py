"""How a file is sent: made as a whole first, then sent with its length.

A file that is sent while it is made looks whole to its client when the making fails: the server has no way to break
the connection, so it ends the body as if all of it were there. Made first, it is an error that says so. And its client
may be as slow as it likes: nothing but a thread and a temporary file waits for it.
"""

import errno
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import IO, Protocol

from flask import Response

from app.errors import UnavailableError
from app.http.admission import current_admission

PIECE_BYTES = 64 * 1024
# A file up to this size stays in memory.
MAX_MEMORY_BYTES = 1024 * 1024
RETRY_AFTER_SECONDS = 60


class Piece(Protocol):
    """The next bytes of a file, and how many rows they hold."""

    @property
    def text(self) -> bytes: ...
    @property
    def row_count(self) -> int: ...


def csv_response(pieces: Iterable[Piece], filename: str) -> Response:
    """A file to keep."""
    response = download(pieces, "text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def download(pieces: Iterable[Piece], content_type: str) -> Response:
    """`X-Row-Count` says how many rows it has, a header not among them.

    Raises BusyError while too many files are being sent, UnavailableError when there is no room for another.
    """
    admission = current_admission()
    admission.become_download()
    with ExitStack() as sending:
        file = sending.enter_context(tempfile.SpooledTemporaryFile(MAX_MEMORY_BYTES))
        with admission.files_in_the_making.taken():
            row_count = _write(pieces, file)
        headers = {
            "Content-Length": str(file.tell()),
            "X-Row-Count": str(row_count),
            "Cache-Control": "private, no-store",
        }
        sending.callback(admission.keep_until_sent())
        end = sending.pop_all().close
    response = Response(_read(file, end), 200, headers, content_type=content_type)
    # Also for a response whose body nobody begins to read.
    response.call_on_close(end)
    return response


def _write(pieces: Iterable[Piece], file: IO[bytes]) -> int:
    row_count = 0
    try:
        for piece in pieces:
            file.write(piece.text)
            row_count += piece.row_count
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise UnavailableError(
            "there is no room for a file of this size at present", retry_after_seconds=RETRY_AFTER_SECONDS
        ) from error
    return row_count


def _read(file: IO[bytes], end: Callable[[], None]) -> Iterator[bytes]:
    try:
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece
    finally:
        end()
