"""Which request bodies are read at all: JSON of a bounded size, and files where a route takes one."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from app.settings import Settings

View = TypeVar("View", bound=Callable[..., Any])


def takes_file(view: View) -> View:
    """Mark a route that takes a multipart upload, up to the larger limit."""
    view.takes_file = True  # type: ignore[attr-defined]
    return view


def init_bodies(app: Flask, settings: Settings) -> None:
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_body_bytes

    @app.before_request
    def check_body() -> None:
        # PostgreSQL's text cannot hold NUL, so nothing with one in its address can be found.
        if "\x00" in request.path or any("\x00" in name + value for name, value in request.args.items(multi=True)):
            raise BadRequest
        view = current_app.view_functions.get(request.endpoint or "")
        if getattr(view, "takes_file", False):
            request.max_content_length = settings.max_upload_bytes
            if request.mimetype != "multipart/form-data":
                raise UnsupportedMediaType("send the file as the form field `file`, as multipart/form-data")
        elif _has_body() and not request.is_json:
            raise UnsupportedMediaType


def _has_body() -> bool:
    return bool(request.content_length) or "chunked" in request.headers.get("Transfer-Encoding", "")
