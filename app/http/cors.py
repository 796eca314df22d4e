"""Which pages of other origins may use the api in a browser (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol).

It works below Flask: a preflight request has no token, so it must pass no step that counts, refuses or queues.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from app.http.document_parts import HEADERS
from app.settings import ANY_ORIGIN, Settings

METHODS = "GET, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, X-Request-ID"
EXPOSED_HEADERS = ", ".join([*HEADERS, "Content-Disposition"])
# Browsers keep the answer to a preflight request for at most two hours.
MAX_AGE_SECONDS = 7200


def init_cors(app: Flask, settings: Settings) -> None:
    """Call it before `init_response_headers`, which completes the answers to preflight requests, too."""
    if not settings.cors_origins:
        return
    serve = app.wsgi_app
    allows_any = ANY_ORIGIN in settings.cors_origins
    allowed = frozenset(settings.cors_origins)
    # Caches must not give an answer for one origin to another. With a star, the headers are the same for every request,
    # also for one without an origin.
    vary = [] if allows_any else [("Vary", "Origin")]

    def serve_other_origins(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN", "")
        is_allowed = allows_any or origin in allowed
        added = [("Access-Control-Allow-Origin", ANY_ORIGIN if allows_any else origin), *vary] if is_allowed else vary
        is_preflight = environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        if is_allowed and is_preflight:
            permissions = [
                ("Access-Control-Allow-Methods", METHODS),
                ("Access-Control-Allow-Headers", REQUEST_HEADERS),
                ("Access-Control-Max-Age", str(MAX_AGE_SECONDS)),
            ]
            start_response("204 No Content", [*added, *permissions])
            return []
        if is_allowed:
            added.append(("Access-Control-Expose-Headers", EXPOSED_HEADERS))

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, *added], exc_info)

        return serve(environ, start)

    app.wsgi_app = serve_other_origins  # type: ignore[method-assign]
