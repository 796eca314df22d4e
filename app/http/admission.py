"""Which requests are worked on now, which wait for their turn, and which are turned away at once.

A thread is cheap and a connection to PostgreSQL is not. So a process has many threads and few permits: a request works
under a permit, and a client that is slow to send its body or to take its answer holds a thread and nothing else.
Each kind of waiting has a bound, and all bounds together are fewer than the threads: no kind can take them all.
"""

import io
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from flask import Flask, current_app, g, request

from app.errors import UnavailableError
from app.settings import Settings

# A request that would wait longer than this is refused at once: its client can try elsewhere, or later.
LONGEST_WAIT_SECONDS = 0.3
MAX_WAITING = 100
RETRY_AFTER_SECONDS = 1
# Bodies that are being received, and the memory they may take together.
MAX_BODIES = 300
MAX_BODY_MEMORY_BYTES = 64 * 1024 * 1024
MAX_UPLOADS = 8
MAX_WAITING_UPLOADS = 32
# A file is worth waiting for: it holds a thread meanwhile, and its client has nothing else to do.
LONGEST_TRANSFER_WAIT_SECONDS = 10.0
# Files that are being sent, and those of them that are still being made.
MAX_DOWNLOADS = 16
MAX_FILES_IN_THE_MAKING = 2
# Health checks are answered whatever the others wait for. Some come at once, from balancers and supervisors.
SPARE_THREADS = 64
# The connections that uploads, downloads and health checks share beside the permits; each uses one for moments.
CONNECTIONS_WITHOUT_PERMIT = 2


def threads_for(permits: int) -> int:
    """As many threads as all bounds together can hold, so that a health check always finds one."""
    waiting = MAX_WAITING + MAX_BODIES + MAX_UPLOADS + MAX_WAITING_UPLOADS + MAX_DOWNLOADS
    return permits + waiting + SPARE_THREADS


class BusyError(UnavailableError):
    code = "too_busy"


class Gate:
    """Lets some through at once; the others wait in line while the wait promises to be short."""

    def __init__(
        self,
        permits: int,
        *,
        max_waiting: int = MAX_WAITING,
        longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._permits = self._free = permits
        self._max_waiting = max_waiting
        self._longest_wait_seconds = longest_wait_seconds
        self._now = now
        self._lock = threading.Lock()
        self._line: deque[threading.Lock] = deque()
        self._mean_seconds = 0.0
        self._last_leave_at = now()

    def enter(self) -> None:
        """Raises BusyError when the line is too long, moves too slowly, or took longer than it promised."""
        with self._lock:
            if self._free:
                self._free -= 1
                if self._free == 0:
                    self._last_leave_at = self._now()
                return
            if self._is_hopeless():
                raise _busy()
            turn = threading.Lock()
            turn.acquire()
            self._line.append(turn)
        if turn.acquire(timeout=self._longest_wait_seconds):
            return
        with self._lock:
            if turn in self._line:
                self._line.remove(turn)
                raise _busy()

    def leave(self, *, held_seconds: float) -> None:
        """The permit goes to the first in line."""
        with self._lock:
            self._mean_seconds += 0.1 * (held_seconds - self._mean_seconds)
            self._last_leave_at = self._now()
            if self._line:
                self._line.popleft().release()
            else:
                self._free += 1

    def _is_hopeless(self) -> bool:
        expected_seconds = (len(self._line) + 1) * self._mean_seconds / self._permits
        # Nobody left for a while: whatever holds the others up will hold up the next one too.
        is_stuck = self._now() - self._last_leave_at > self._longest_wait_seconds
        return is_stuck or len(self._line) >= self._max_waiting or expected_seconds > self._longest_wait_seconds


class Slots:
    """So many at a time, and so much of something at a time; whoever finds no room is refused."""

    def __init__(self, count: int, *, amount: int = 0, max_waiting: int = 0, longest_wait_seconds: float = 0.0) -> None:
        self._count = count
        self._amount = amount
        self._waiting = max_waiting
        self._longest_wait_seconds = longest_wait_seconds
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, amount: int = 0) -> Iterator[None]:
        """Raises BusyError where there is no room, after a wait if the line is short enough to wait in."""
        self.take(amount)
        try:
            yield
        finally:
            self.give_back(amount)

    def take(self, amount: int = 0) -> None:
        with self._changed:
            if not self._has_room(amount) and not self._waited_for_room(amount):
                raise _busy()
            self._count -= 1
            self._amount -= amount

    def give_back(self, amount: int = 0) -> None:
        with self._changed:
            self._count += 1
            self._amount += amount
            self._changed.notify()

    def _has_room(self, amount: int) -> bool:
        return self._count > 0 and self._amount >= amount

    def _waited_for_room(self, amount: int) -> bool:
        if not self._waiting:
            return False
        self._waiting -= 1
        try:
            return self._changed.wait_for(lambda: self._has_room(amount), self._longest_wait_seconds)
        finally:
            self._waiting += 1


class Admission:
    """The bounds of one process, and the requests that it works on."""

    def __init__(self, settings: Settings) -> None:
        self.permits = max(1, settings.database_pool_size - CONNECTIONS_WITHOUT_PERMIT)
        self.gate = Gate(self.permits)
        self.bodies = Slots(MAX_BODIES, amount=max(MAX_BODY_MEMORY_BYTES, settings.max_body_bytes))
        self.uploads = Slots(
            MAX_UPLOADS, max_waiting=MAX_WAITING_UPLOADS, longest_wait_seconds=LONGEST_TRANSFER_WAIT_SECONDS
        )
        self.downloads = Slots(MAX_DOWNLOADS)
        self.files_in_the_making = Slots(
            MAX_FILES_IN_THE_MAKING, max_waiting=MAX_DOWNLOADS, longest_wait_seconds=LONGEST_TRANSFER_WAIT_SECONDS
        )
        self._since: dict[int, float] = {}

    def oldest_seconds(self) -> float:
        """How long the oldest request has been worked on that waits for nothing from its client."""
        started = list(self._since.values())
        return time.monotonic() - min(started) if started else 0.0

    @contextmanager
    def waiting_for_client(self) -> Iterator[None]:
        """Whoever reads from the client meanwhile is not at work."""
        self.rest()
        try:
            yield
        finally:
            self.work()

    def become_download(self) -> None:
        """The present request gives its permit back and goes on as a download. Raises BusyError for one too many."""
        self.downloads.take()
        g.pop("leave")()
        g.leave = self.downloads.give_back

    def keep_until_sent(self) -> Callable[[], None]:
        """Return the function that gives the download's place back. Call it when the response has been sent."""
        leave: Callable[[], None] = g.pop("leave")
        return leave

    def work(self) -> None:
        self._since[threading.get_ident()] = time.monotonic()

    def rest(self) -> None:
        self._since.pop(threading.get_ident(), None)


def ungated(view: Any) -> Any:
    """Mark a route that is answered whatever the others wait for."""
    view.is_ungated = True
    return view


def current_admission() -> Admission:
    admission: Admission = current_app.extensions["admission"]
    return admission


def init_body_reception(app: Flask, settings: Settings) -> None:
    """Receive each ordinary body before anything counts its request: its client may take its time."""

    @app.before_request
    def receive_body() -> None:
        if _needs_permit() and not _takes_file():
            _receive_body(settings.max_body_bytes)


def init_permits(app: Flask) -> None:
    """Behind the checks of a body's size and its reception, before anything that uses a connection."""

    @app.before_request
    def admit() -> None:
        if not _needs_permit():
            return
        admission = current_admission()
        if _takes_file():
            admission.uploads.take()
            g.leave = admission.uploads.give_back
            request.environ["wsgi.input"] = io.BufferedReader(_Upload(request.environ["wsgi.input"], admission))
            admission.work()
            return
        admission.work()
        admission.gate.enter()
        entered_at = time.monotonic()
        g.leave = lambda: admission.gate.leave(held_seconds=time.monotonic() - entered_at)

    @app.teardown_request
    def let_go(_error: BaseException | None) -> None:
        current_admission().rest()
        if "leave" in g:
            g.pop("leave")()


def _needs_permit() -> bool:
    """A request for an unknown address is answered at once, without a connection."""
    return request.routing_exception is None and not hasattr(_view(), "is_ungated")


def _takes_file() -> bool:
    return hasattr(_view(), "takes_file")


def _view() -> Any:
    return current_app.view_functions.get(request.endpoint or "")


def _receive_body(limit: int) -> None:
    """All of the body, before the request takes a permit: its client may take its time."""
    environ = request.environ
    length = request.content_length
    is_chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    if is_chunked:
        length = limit
    # A body over the limit is refused unread.
    if not length or length > limit:
        return
    with current_admission().bodies.taken(length):
        # One byte more than a chunked body may have, so that a longer one is noticed.
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length + is_chunked))


class _Upload(io.RawIOBase):
    """A body that is read while it comes in, by a request that is not at work while it waits for it."""

    def __init__(self, stream: IO[bytes], admission: Admission) -> None:
        self._stream = stream
        self._admission = admission

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._admission.waiting_for_client():
            piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _busy() -> BusyError:
    return BusyError("the server is busy; try again shortly", retry_after_seconds=RETRY_AFTER_SECONDS)
