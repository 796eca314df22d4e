"""How a file is sent: it is written completely first, then sent with its length.

If writing failed while a file was being sent, its client would take the file for complete: the server has no way to
break the connection, so it ends the body normally. A file that is written first can fail with an error response. Its
client may also be slow, since only a thread and a temporary file wait for it.
"""

import errno
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import IO, Protocol

from flask import Response

from app.errors import UnavailableError
from app.http.admission import current_admission

PIECE_BYTES = 64 * 1024
# A file up to this size stays in memory.
MAX_MEMORY_BYTES = 1024 * 1024
RETRY_AFTER_SECONDS = 60
CSV_TYPE = "text/csv"
# IANA's names of the encodings that Python calls otherwise.
_CHARSETS = {"cp1252": "windows-1252", "utf-16-le": "utf-16le", "utf-16-be": "utf-16be"}
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Piece(Protocol):
    """The next bytes of a file, and how many rows they hold."""

    @property
    def content(self) -> bytes: ...
    @property
    def row_count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _ArrayPiece:
    content: bytes
    row_count: int


def json_array_response(pages: Iterable[Sequence[str]]) -> Response:
    """The rows of all pages, which are JSON already, as one array."""
    return download(_array_of(pages), "application/json")


def csv_response(pieces: Iterable[Piece], filename: str, codec: str = "utf-8") -> Response:
    """A CSV file that browsers save as `filename`. `codec` is Python's name of its encoding."""
    return _file_response(pieces, f"{CSV_TYPE}; charset={_CHARSETS.get(codec, codec)}", filename)


def xlsx_response(pieces: Iterable[Piece], filename: str) -> Response:
    """An XLSX file that browsers save as `filename`."""
    return _file_response(pieces, XLSX_TYPE, filename)


def filename_of(
    subject: str,
    extension: str,
    *,
    project: str | None = None,
    since: date | None = None,
    until: date | None = None,
) -> str:
    """The name of a file about these days, such as `task-log-OPS-from-2026-03-01-to-2026-03-09.csv`."""
    days = (since,) if since == until else (since and f"from-{since}", until and f"to-{until}")
    return "-".join(str(part) for part in (subject, project, *days) if part) + f".{extension}"


def download(pieces: Iterable[Piece], content_type: str) -> Response:
    """Send a file. `X-Row-Count` is the number of its rows, without the header.

    Raises BusyError if there are too many downloads, UnavailableError if the disk has no room for the file.
    """
    admission = current_admission()
    admission.become_download()
    with ExitStack() as sending:
        file = sending.enter_context(tempfile.SpooledTemporaryFile(MAX_MEMORY_BYTES))
        with admission.files_being_written.taken():
            row_count = _write(pieces, file)
        headers = {
            "Content-Length": str(file.tell()),
            "X-Row-Count": str(row_count),
            "Cache-Control": "private, no-store",
        }
        sending.callback(admission.keep_until_sent())
        end = sending.pop_all().close
    response = Response(_read(file, end), 200, headers, content_type=content_type)
    # This covers a response whose body is never read.
    response.call_on_close(end)
    return response


def _file_response(pieces: Iterable[Piece], content_type: str, filename: str) -> Response:
    response = download(pieces, content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _array_of(pages: Iterable[Sequence[str]]) -> Iterator[_ArrayPiece]:
    separator = "["
    for rows in pages:
        yield _ArrayPiece((separator + ",\n".join(rows)).encode(), len(rows))
        separator = ",\n"
    yield _ArrayPiece(b"[]" if separator == "[" else b"]", 0)


def _write(pieces: Iterable[Piece], file: IO[bytes]) -> int:
    row_count = 0
    try:
        for piece in pieces:
            file.write(piece.content)
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
