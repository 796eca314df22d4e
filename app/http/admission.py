"""Which requests run now, which wait for their turn, and which are refused at once.

A thread is cheap and a connection to PostgreSQL is not, so a process has many threads and few permits. A request needs
a permit to run. A client that is slow to send its body or to read its response holds only a thread. Each kind of
waiting has a bound, and the bounds together are lower than the number of threads, so no kind can take all of them.
"""

import io
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from flask import current_app, g, request

from app.errors import UnavailableError
from app.http.steps import Exchange, Steps
from app.settings import Settings

# A request that would wait longer than this is refused at once: its client can try elsewhere, or later.
LONGEST_WAIT_SECONDS = 0.3
MAX_WAITING = 100
RETRY_AFTER_SECONDS = 1
# Bodies that are received at the same time, and their memory in total.
MAX_BODIES = 300
MAX_BODY_MEMORY_BYTES = 64 * 1024 * 1024
MAX_UPLOADS = 8
MAX_WAITING_UPLOADS = 32
# An upload or download may wait longer. It holds only a thread, and its client expects a file to take time.
LONGEST_TRANSFER_WAIT_SECONDS = 10.0
# Downloads at the same time, and those of them whose file is still being written.
MAX_DOWNLOADS = 16
MAX_FILES_BEING_WRITTEN = 2
# Health checks never wait for other requests. Several come at once, from load balancers and supervisors.
SPARE_THREADS = 64
# Uploads, downloads and health checks need no permit. They share these connections, each for a moment at a time.
CONNECTIONS_WITHOUT_PERMIT = 2


def threads_for(permits: int) -> int:
    """The number of threads that all bounds together can hold, plus spare ones for health checks."""
    waiting = MAX_WAITING + MAX_BODIES + MAX_UPLOADS + MAX_WAITING_UPLOADS + MAX_DOWNLOADS
    return permits + waiting + SPARE_THREADS


class BusyError(UnavailableError):
    code = "too_busy"


class Gate:
    """Admits up to `permits` requests. Others wait in line if the wait is expected to be short."""

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
        """Raises BusyError if the line is too long or too slow, or if the wait took longer than expected."""
        with self._lock:
            if self._free:
                self._free -= 1
                if self._free == 0:
                    self._last_leave_at = self._now()
                return
            if self._would_wait_too_long():
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
        """Pass the permit on to the first request in line."""
        with self._lock:
            self._mean_seconds += 0.1 * (held_seconds - self._mean_seconds)
            self._last_leave_at = self._now()
            if self._line:
                self._line.popleft().release()
            else:
                self._free += 1

    def _would_wait_too_long(self) -> bool:
        expected_seconds = (len(self._line) + 1) * self._mean_seconds / self._permits
        # No request has left for a while: what delays the others would delay this one too.
        is_stuck = self._now() - self._last_leave_at > self._longest_wait_seconds
        return is_stuck or len(self._line) >= self._max_waiting or expected_seconds > self._longest_wait_seconds


class Slots:
    """Limits how many holders there are at a time, and how much of some resource they hold together."""

    def __init__(self, count: int, *, amount: int = 0, max_waiting: int = 0, longest_wait_seconds: float = 0.0) -> None:
        self._count = count
        self._amount = amount
        self._waiting = max_waiting
        self._longest_wait_seconds = longest_wait_seconds
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, amount: int = 0) -> Iterator[None]:
        """Raises BusyError if there is no room. Waits for room first, unless too many others wait already."""
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
    """The bounds of one process, and its running requests."""

    def __init__(self, settings: Settings) -> None:
        self.permits = max(1, settings.database_pool_size - CONNECTIONS_WITHOUT_PERMIT)
        self.gate = Gate(self.permits)
        self.bodies = Slots(MAX_BODIES, amount=max(MAX_BODY_MEMORY_BYTES, settings.max_body_bytes))
        self.uploads = Slots(
            MAX_UPLOADS, max_waiting=MAX_WAITING_UPLOADS, longest_wait_seconds=LONGEST_TRANSFER_WAIT_SECONDS
        )
        self.downloads = Slots(MAX_DOWNLOADS)
        self.files_being_written = Slots(
            MAX_FILES_BEING_WRITTEN, max_waiting=MAX_DOWNLOADS, longest_wait_seconds=LONGEST_TRANSFER_WAIT_SECONDS
        )
        self._since: dict[int, float] = {}

    def oldest_seconds(self) -> float:
        """The age of the oldest running request. Requests that wait for their client do not count as running."""
        started = list(self._since.values())
        return time.monotonic() - min(started) if started else 0.0

    @contextmanager
    def waiting_for_client(self) -> Iterator[None]:
        """The request does not count as running while it reads from its client."""
        self.rest()
        try:
            yield
        finally:
            self.work()

    def become_download(self) -> None:
        """Exchange this request's permit for a download slot. Raises BusyError if there are too many downloads."""
        self.downloads.take()
        g.pop("leave")()
        g.leave = self.downloads.give_back

    def keep_until_sent(self) -> Callable[[], None]:
        """Return the function that gives the download slot back. Call it when the response has been sent."""
        leave: Callable[[], None] = g.pop("leave")
        return leave

    def work(self) -> None:
        self._since[threading.get_ident()] = time.monotonic()

    def rest(self) -> None:
        self._since.pop(threading.get_ident(), None)


def ungated(view: Any) -> Any:
    """Mark a route that needs no permit, so that its requests never wait for others."""
    view.is_ungated = True
    return view


def current_admission() -> Admission:
    admission: Admission = current_app.extensions["admission"]
    return admission


def init_body_reception(steps: Steps, settings: Settings) -> None:
    """Receive each body that is not a file before its request counts as running, since its client may be slow."""

    @steps.before
    def receive_body(exchange: Exchange) -> None:
        if _has_body(exchange.request.environ) and _needs_permit(_view()) and not _takes_file(_view()):
            _receive_body(settings.max_body_bytes)


def init_permits(steps: Steps) -> None:
    """Call it after `init_body_reception`, and before registering any hook that uses a connection."""

    @steps.before
    def admit(exchange: Exchange) -> None:
        view = _view()
        if not _needs_permit(view):
            return
        admission = current_admission()
        if _takes_file(view):
            admission.uploads.take()
            exchange.g.leave = admission.uploads.give_back
            environ = exchange.request.environ
            environ["wsgi.input"] = io.BufferedReader(_Upload(environ["wsgi.input"], admission))
            admission.work()
            return
        admission.work()
        admission.gate.enter()
        entered_at = time.monotonic()
        exchange.g.leave = lambda: admission.gate.leave(held_seconds=time.monotonic() - entered_at)

    @steps.end
    def leave(exchange: Exchange) -> None:
        current_admission().rest()
        if "leave" in exchange.g:
            exchange.g.pop("leave")()


def _needs_permit(view: Any) -> bool:
    """False for ungated routes, and for unknown paths, whose 404 needs no connection."""
    return view is not None and not hasattr(view, "is_ungated")


def _takes_file(view: Any) -> bool:
    return hasattr(view, "takes_file")


def _view() -> Any:
    """The view of this request; None if its path or method is unknown."""
    return current_app.view_functions.get(request.endpoint or "")


def _has_body(environ: Mapping[str, Any]) -> bool:
    return environ.get("CONTENT_LENGTH") not in {None, "", "0"} or "HTTP_TRANSFER_ENCODING" in environ


def _receive_body(limit: int) -> None:
    """Read the whole body before the request takes a permit, since its client may be slow."""
    environ = request.environ
    length = request.content_length
    is_chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    if is_chunked:
        length = limit
    # A body over the limit is not read here: it is refused later.
    if not length or length > limit:
        return
    with current_admission().bodies.taken(length):
        # Read one byte more than a chunked body may have, so that a longer one is noticed.
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length + is_chunked))


class _Upload(io.RawIOBase):
    """A body that is read as it arrives. Its request does not count as running while it waits for the client."""

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
