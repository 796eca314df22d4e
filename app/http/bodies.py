"""Which request bodies are accepted: JSON of a bounded size, and files where a route takes one."""

import io
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

from flask import Flask
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, RequestURITooLarge, UnsupportedMediaType

from app.http.steps import Exchange, Steps
from app.settings import Settings

View = TypeVar("View", bound=Callable[..., Any])

# A task list with every filter at its longest stays below this.
MAX_ADDRESS_BYTES = 32 * 1024


def takes_file(view: View) -> View:
    """Mark a route that takes a multipart upload, up to the larger limit."""
    view.takes_file = True  # type: ignore[attr-defined]
    return view


def init_bodies(app: Flask, steps: Steps, settings: Settings) -> None:
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes

    @steps.before
    def check_body(exchange: Exchange) -> None:
        request = exchange.request
        environ = request.environ
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        if len(path) + len(query) > MAX_ADDRESS_BYTES:
            raise RequestURITooLarge
        # PostgreSQL's text cannot hold NUL, so nothing in the database can match such an address.
        if "\x00" in path or "\x00" in query or "%00" in query:
            raise BadRequest
        view = app.view_functions.get(request.endpoint or "")
        if view is None:
            # An unknown path or method is reported before a problem with the body.
            return
        if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            raise UnsupportedMediaType("send the body without Content-Encoding: encoded bodies are not supported")
        is_upload = getattr(view, "takes_file", False)
        is_chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        if is_upload:
            request.max_content_length = settings.max_upload_bytes
        if is_chunked:
            limit = settings.max_upload_bytes if is_upload else settings.max_body_bytes
            environ["wsgi.input"] = io.BufferedReader(_BoundedBody(environ["wsgi.input"], limit))
            request.max_content_length = limit + 1


class _BoundedBody(io.RawIOBase):
    """A body of unknown length. Werkzeug would silently cut it off at the limit."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream = stream
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises RequestEntityTooLarge at the first byte over the limit."""
        chunk = self._stream.read(len(buffer))
        self._left -= len(chunk)
        if self._left < 0:
            raise RequestEntityTooLarge
        buffer[: len(chunk)] = chunk
        return len(chunk)
