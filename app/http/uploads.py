"""How an upload is read as it arrives: multipart/form-data (RFC 7578) whose last part is the file.

Nothing is stored on disk, and memory holds only a few pieces, whatever the size of the file.
"""

from collections.abc import Iterator
from typing import IO

from flask import g, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from app.errors import InvalidError

PIECE_BYTES = 128 * 1024
# The size of the decoder's buffer, which holds one piece and the rest of the piece before.
MAX_BUFFER_BYTES = 4 * PIECE_BYTES
MAX_FIELD_BYTES = 10_000
MAX_FIELDS = 50


class Upload:
    """A file that is read from the request as it arrives. Reading raises BadRequest if the request ends first."""

    def __init__(self, name: str, filename: str, events: Iterator[Event]) -> None:
        self.name = name
        self.filename = filename
        self._events = events
        self._rest = b""
        self._is_over = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        while not self._rest and not self._is_over:
            self._receive(next(self._events))
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def _receive(self, event: Event) -> None:
        match event:
            case Data():
                self._rest = event.data
            case Epilogue():
                self._is_over = True
            case Field() | File():
                raise InvalidError.of(event.name or "file", "send it before the file, which is read as it arrives")


class UploadForm:
    """The fields before the file, and the file if there is one."""

    def __init__(self, stream: IO[bytes], boundary: str) -> None:
        self.fields: list[tuple[str, str]] = []
        self.file: Upload | None = None
        events = _events(stream, boundary)
        for event in events:
            match event:
                case File():
                    self.file = Upload(event.name or "", event.filename, events)
                    return
                case Field():
                    if len(self.fields) == MAX_FIELDS:
                        raise RequestEntityTooLarge
                    self.fields.append((event.name or "", _text_of(events)))


def current_upload() -> UploadForm:
    """The upload of this request. The first call reads the head of the form."""
    if "upload" not in g:
        boundary = request.mimetype_params.get("boundary")
        if request.mimetype != "multipart/form-data" or not boundary:
            raise UnsupportedMediaType("send the file as the form field `file`, as multipart/form-data")
        g.upload = UploadForm(request.stream, boundary)
    upload: UploadForm = g.upload
    return upload


def _events(stream: IO[bytes], boundary: str) -> Iterator[Event]:
    try:
        decoder = MultipartDecoder(boundary.encode("ascii"), MAX_BUFFER_BYTES)
        while True:
            event = decoder.next_event()
            if isinstance(event, NeedData):
                decoder.receive_data(stream.read(PIECE_BYTES) or None)
                continue
            yield event
            if isinstance(event, Epilogue):
                return
    except ValueError:
        raise BadRequest("the upload is incomplete, or is not multipart/form-data") from None


def _text_of(events: Iterator[Event]) -> str:
    value = b""
    for event in events:
        if not isinstance(event, Data):
            break
        value += event.data
        if len(value) > MAX_FIELD_BYTES:
            raise RequestEntityTooLarge
        if not event.more_data:
            break
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadRequest("a form field is not UTF-8") from None
