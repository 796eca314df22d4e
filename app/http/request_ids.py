"""Which id a request has: the client's X-Request-ID or a new one, echoed in the response and in every log line."""

import re
import secrets

import structlog
from flask import Flask, Response, g, request

ACCEPTED = re.compile(r"^[A-Za-z0-9._-]{1,64}$")


def init_request_ids(app: Flask) -> None:
    @app.before_request
    def take_request_id() -> None:
        client_id = request.environ.get("HTTP_X_REQUEST_ID")
        g.request_id = request_id = client_id if client_id and ACCEPTED.match(client_id) else secrets.token_hex(16)
        # Nothing else is bound while a request runs, so this replaces what the thread's last request has left.
        structlog.contextvars.bind_contextvars(request_id=request_id)

    @app.after_request
    def echo_request_id(response: Response) -> Response:
        response.headers["X-Request-ID"] = current_request_id()
        return response


def current_request_id() -> str:
    request_id: str = g.get("request_id", "")
    return request_id
