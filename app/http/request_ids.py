"""Which id a request has: the client's X-Request-ID or a new one, echoed in the response and in every log line."""

import re
import secrets

import structlog
from flask import g

from app.http.steps import Exchange, Steps

ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_request_ids(steps: Steps) -> None:
    @steps.before
    def take_request_id(exchange: Exchange) -> None:
        client_id = exchange.request.environ.get("HTTP_X_REQUEST_ID")
        request_id = client_id if client_id and ACCEPTED.fullmatch(client_id) else secrets.token_hex(16)
        exchange.g.request_id = request_id
        exchange.add_headers(("X-Request-ID", request_id))
        # Nothing else is bound while a request runs, so this replaces what the thread's last request has left.
        structlog.contextvars.bind_contextvars(request_id=request_id)


def current_request_id() -> str:
    request_id: str = g.get("request_id", "")
    return request_id
