"""How many requests of one user a process runs at once, so that one user cannot crowd out the others.

Each process counts for itself, without Redis, because the permits and connections that a user could take up belong to
one process. With several processes a user may have several times as many requests running.
"""

import threading
import weakref
from collections import Counter

from flask import Flask, Response, current_app

from app.errors import TooManyRunningRequestsError
from app.http.steps import Exchange, Steps
from app.settings import Settings

RETRY_AFTER_SECONDS = 1


class RunningRequests:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()

    def begin(self, caller: str) -> None:
        """Raises TooManyRunningRequestsError."""
        with self._lock:
            if self._running[caller] >= self._limit:
                raise TooManyRunningRequestsError(
                    f"{self._limit} of your requests are running; wait for one of them to end",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                )
            self._running[caller] += 1

    def end(self, caller: str) -> None:
        with self._lock:
            self._running[caller] -= 1
            if not self._running[caller]:
                del self._running[caller]


def init_running_requests(app: Flask, steps: Steps, settings: Settings) -> None:
    """Call it before `init_permits`, so that a request over the limit does not wait for a permit."""
    if not settings.rate_limits.enabled:
        return

    @steps.before
    def count(exchange: Exchange) -> None:
        credential = exchange.g.credential
        caller: str | None = None if credential is None else credential.caller
        if caller is None:
            # Public routes need no token, and the others refuse the request. The first request with an API token is
            # not counted either: nobody knows its owner yet.
            return
        running: RunningRequests = app.extensions["running_requests"]
        running.begin(caller)
        exchange.g.running_caller = caller

    @steps.after
    def wait_for_end_of_stream(exchange: Exchange, response: Response) -> None:
        """A request whose response is streamed counts as running until the response has been sent."""
        if "running_caller" in exchange.g and response.is_streamed and not response.direct_passthrough:
            # The finalizer also runs if the server drops the response because its client has disconnected.
            release = weakref.finalize(response, _running_requests().end, exchange.g.pop("running_caller"))
            release.atexit = False
            response.call_on_close(release)

    @steps.end
    def give_back(exchange: Exchange) -> None:
        if "running_caller" in exchange.g:
            _running_requests().end(exchange.g.pop("running_caller"))


def _running_requests() -> RunningRequests:
    running: RunningRequests = current_app.extensions["running_requests"]
    return running
