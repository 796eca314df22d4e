"""The steps that each request passes through before and after its view, in order.

They are Flask's hooks. Flask's `request` and `g` look up the current request anew at each use, which takes longer than
most steps, so the steps get what stands behind them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Request, Response, g, request

# The key of a WSGI environment for the headers that steps add to the response.
ADDED_HEADERS = "tasktracker.added_headers"


@dataclass(slots=True)
class Exchange:
    """A request, and what its steps keep for each other and for the view."""

    request: Request
    # The object behind Flask's `g`, which takes any attribute.
    g: Any

    def add_headers(self, *headers: tuple[str, str]) -> None:
        """Add headers to the response, or replace added ones. Nothing checks them, so their values must be safe."""
        self.request.environ.setdefault(ADDED_HEADERS, {}).update(headers)


Before = Callable[[Exchange], None]
After = Callable[[Exchange, Response], None]
End = Callable[[Exchange], None]


class Steps:
    """Steps before the view run in the order of their registration. All others run in reverse, as in Flask."""

    def __init__(self, app: Flask) -> None:
        self._before: list[Before] = []
        self._after: list[After] = []
        self._end: list[End] = []
        app.before_request(self._run_before)
        app.after_request(self._run_after)
        app.teardown_request(self._run_end)

    def before(self, step: Before) -> Before:
        """Run the step before the view. An error that it raises becomes the answer."""
        self._before.append(step)
        return step

    def after(self, step: After) -> After:
        """Run the step on the response."""
        self._after.insert(0, step)
        return step

    def end(self, step: End) -> End:
        """Run the step at the end of the request, even if others have failed."""
        self._end.insert(0, step)
        return step

    def _run_before(self) -> None:
        exchange = _current_exchange()
        for step in self._before:
            step(exchange)

    def _run_after(self, response: Response) -> Response:
        exchange = _current_exchange()
        for step in self._after:
            step(exchange, response)
        return response

    def _run_end(self, _error: BaseException | None) -> None:
        exchange, errors = _current_exchange(), []
        for step in self._end:
            try:
                step(exchange)
            except Exception as error:  # noqa: BLE001 - the other steps must run
                errors.append(error)
        if errors:
            raise errors[0]


def _current_exchange() -> Exchange:
    return Exchange(request._get_current_object(), g._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001
