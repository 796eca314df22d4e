"""How many requests of one user a process works on at once, so that nobody's costly ones leave the others no place.

Each process counts for itself, without Redis: what a user could take from the others are the permits and connections
of a process. With several processes a user may have as many times more requests running.
"""

import threading
import weakref
from collections import Counter

from flask import Flask, Response, current_app, g

from app.errors import TooManyRunningRequestsError, UnauthenticatedError
from app.http.identity.access import current_claims
from app.settings import Settings

RETRY_AFTER_SECONDS = 1


class RunningRequests:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._running: Counter[int] = Counter()

    def begin(self, user_id: int) -> None:
        """Raises TooManyRunningRequestsError."""
        with self._lock:
            if self._running[user_id] >= self._limit:
                raise TooManyRunningRequestsError(
                    f"{self._limit} of your requests are running; wait for one of them to end",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                )
            self._running[user_id] += 1

    def end(self, user_id: int) -> None:
        with self._lock:
            self._running[user_id] -= 1
            if not self._running[user_id]:
                del self._running[user_id]


def init_running_requests(app: Flask, settings: Settings) -> None:
    """Before admission: who is over the limit waits for no permit."""
    if not settings.rate_limits.enabled:
        return

    @app.before_request
    def count() -> None:
        try:
            user_id = current_claims().user_id
        except UnauthenticatedError:
            # Public routes take no token, and the others refuse the request for it.
            return
        _running_requests().begin(user_id)
        g.running_user_id = user_id

    @app.after_request
    def wait_for_end_of_stream(response: Response) -> Response:
        """A file that is made while it is sent is at work until then."""
        if "running_user_id" in g and response.is_streamed and not response.direct_passthrough:
            # Also where the server drops an answer that its client has gone away from.
            release = weakref.finalize(response, _running_requests().end, g.pop("running_user_id"))
            release.atexit = False
            response.call_on_close(release)
        return response

    @app.teardown_request
    def give_back(_error: BaseException | None) -> None:
        if "running_user_id" in g:
            _running_requests().end(g.pop("running_user_id"))


def _running_requests() -> RunningRequests:
    running: RunningRequests = current_app.extensions["running_requests"]
    return running
