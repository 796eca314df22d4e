"""Headers that are added to responses below Flask, which would check and copy each of them several times."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from app.http.steps import ADDED_HEADERS

# Headers that tell a browser what it must not do with a response.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Pages set their own policy. Other responses need to load nothing.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_LOWER_CASE = {name.lower(): (name, value) for name, value in SECURITY_HEADERS.items()}


def init_response_headers(app: Flask) -> None:
    """Add the headers of the steps, and each security header that a response does not set itself."""
    serve = app.wsgi_app

    def serve_with_headers(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            own = {name.lower() for name, _value in headers}
            missing = [header for name, header in _LOWER_CASE.items() if name not in own]
            return start_response(status, [*headers, *environ.get(ADDED_HEADERS, {}).items(), *missing], exc_info)

        return serve(environ, start)

    app.wsgi_app = serve_with_headers  # type: ignore[method-assign]
