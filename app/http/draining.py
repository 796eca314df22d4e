"""How a process that is to end lets go of its clients without losing one request of theirs.

A server that closes an idle keep-alive connection may do so while the next request is on its way. So before it closes
any, each answer says `Connection: close`, for long enough that every busy client has heard it and load balancers have
seen /readyz refuse. In the last moment answers are held back until the server listens no more: a client that waits for
an answer does not open a connection that nobody would serve.
"""

import time
from collections.abc import Callable

from flask import Flask, Response, current_app

# The server is told to stop in the middle of it, and answers what it has begun.
HOLD_SECONDS = 0.5


class Draining:
    """Off until somebody begins it; then for good."""

    def __init__(
        self, *, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._ends_at: float | None = None

    def begin(self, seconds: float) -> None:
        """The server stops in `seconds`. The first call counts: reminders change nothing."""
        if self._ends_at is None:
            self._ends_at = self._now() + seconds

    @property
    def is_on(self) -> bool:
        return self._ends_at is not None

    @property
    def is_about_to_end(self) -> bool:
        return self._ends_at is not None and self._now() > self._ends_at - HOLD_SECONDS / 2

    def hold_back(self) -> None:
        """In the last moment, wait until the server listens no more."""
        if self.is_about_to_end:
            self._sleep(HOLD_SECONDS)


def current_draining() -> Draining:
    draining: Draining = current_app.extensions["draining"]
    return draining


def init_draining(app: Flask) -> None:
    @app.after_request
    def send_clients_away(response: Response) -> Response:
        draining = current_draining()
        if draining.is_on:
            response.headers["Connection"] = "close"
            draining.hold_back()
        return response
