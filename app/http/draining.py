"""How a process that is about to stop lets go of its clients without losing a request.

A server that closes an idle keep-alive connection may do so while the next request is on its way. So before it closes
any, each response says `Connection: close`, for long enough that every busy client has received one and load balancers
have seen /readyz fail. In the last moment responses are held back until the server no longer listens: a client that
waits for a response does not open a connection that nobody would serve.
"""

import time
from collections.abc import Callable

from flask import Flask, Response, current_app

from app.http.steps import Exchange, Steps

# Halfway through this time, the server is told to stop. It still answers the requests that it has begun.
HOLD_SECONDS = 0.5


class Draining:
    """Off until `begin` is called, then on for good."""

    def __init__(
        self, *, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._ends_at: float | None = None

    def begin(self, seconds: float) -> None:
        """Start to drain: the server stops in `seconds`. Only the first call counts."""
        if self._ends_at is None:
            self._ends_at = self._now() + seconds

    @property
    def is_on(self) -> bool:
        return self._ends_at is not None

    @property
    def is_about_to_end(self) -> bool:
        return self._ends_at is not None and self._now() > self._ends_at - HOLD_SECONDS / 2

    def hold_back(self) -> None:
        """In the last moment, wait until the server no longer listens."""
        if self.is_about_to_end:
            self._sleep(HOLD_SECONDS)


def current_draining() -> Draining:
    draining: Draining = current_app.extensions["draining"]
    return draining


def init_draining(app: Flask, steps: Steps) -> None:
    @steps.after
    def close_connections(_exchange: Exchange, response: Response) -> None:
        draining: Draining = app.extensions["draining"]
        if draining.is_on:
            response.headers["Connection"] = "close"
            draining.hold_back()
