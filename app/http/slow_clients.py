"""Which clients stop sending or reading in the middle of a request, and how their connections are ended.

The server reads and writes sockets in code of its own, without deadlines. The kernel counts what each socket received
and what its peer acknowledged (tcp_info in Linux's include/uapi/linux/tcp.h), so a thread compares these counts once a
second and shuts down the sockets that make no progress. A thread that waits for such a socket sees the connection end.
"""

import logging
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto

from app.watching import watch

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
# How long a client that has begun a request may send nothing more of it.
SILENCE_SECONDS = 15.0
# The server itself closes an idle keep-alive connection after half of this.
IDLE_SECONDS = 60.0
# A client that sends or reads less than this is as good as silent.
WINDOW_SECONDS = 30.0
MIN_BYTES_PER_WINDOW = 15_000
# After this long without progress the kernel drops the data that a client does not read, and its connection.
UNREAD_MILLISECONDS = 45_000
# A client may be waiting for a running request. Only a client that has been silent for longer than the oldest request
# has run, by this margin, is ended.
MARGIN_SECONDS = 5.0
# A process that was stopped for longer than this does not know what happened meanwhile.
MAX_GAP_SECONDS = 5.0

# Fields of tcp_info: the ages of the last segments with data in milliseconds, unacknowledged segments, and counters.
_AGES = struct.Struct("=I4xI")  # last_data_sent, (last_ack_sent), last_data_recv
_AGES_AT = 44
_UNACKED = struct.Struct("=I")
_UNACKED_AT = 24
_COUNTERS = struct.Struct("=QQ4x4xI4x4xI")  # bytes_acked, bytes_received, …, notsent_bytes, …, data_segs_out
_COUNTERS_AT = 120
_INFO_BYTES = 192
# Linger for zero seconds: struct linger of <sys/socket.h>.
_RESET = struct.pack("ii", 1, 0)


class State(Enum):
    """Whose turn it is. SENDING: the client has to send, or we have to answer. IDLE: nobody has to do anything."""

    READING = auto()
    SENDING = auto()
    IDLE = auto()


@dataclass(frozen=True, slots=True)
class Counts:
    received: int
    acknowledged: int
    state: State

    @classmethod
    def of(cls, connection: socket.socket) -> "Counts":
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
        sent_age, received_age = _AGES.unpack_from(info, _AGES_AT)
        (unacked,) = _UNACKED.unpack_from(info, _UNACKED_AT)
        acknowledged, received, unsent, segments_out = _COUNTERS.unpack_from(info, _COUNTERS_AT)
        if unacked or unsent:
            state = State.READING
        elif received and (not segments_out or received_age < sent_age):
            state = State.SENDING
        else:
            state = State.IDLE
        return cls(received, acknowledged, state)


class Watched:
    """The progress of one connection so far."""

    def __init__(self, counts: Counts, now: float) -> None:
        self._counts = counts
        self._moved_at = now
        self._window = counts
        self._window_began_at = now

    def look(self, counts: Counts, now: float, *, oldest_seconds: float) -> str | None:
        """Why the connection should end, or None. `oldest_seconds` is the age of the oldest running request."""
        if counts.state is not self._counts.state:
            self._window, self._window_began_at = counts, now
        if counts != self._counts:
            self._moved_at = now
        self._counts = counts
        silent_seconds = now - self._moved_at
        waits_for_us = silent_seconds <= oldest_seconds + MARGIN_SECONDS
        if counts.state is State.SENDING and silent_seconds >= SILENCE_SECONDS and not waits_for_us:
            return "sends no more of its request"
        if counts.state is State.IDLE and silent_seconds >= IDLE_SECONDS and not waits_for_us:
            return "is idle"
        if now - self._window_began_at < WINDOW_SECONDS:
            return None
        before, self._window, self._window_began_at = self._window, counts, now
        if counts.state is State.READING and counts.acknowledged - before.acknowledged < MIN_BYTES_PER_WINDOW:
            return "reads its response too slowly"
        is_sending = counts.state is State.SENDING and silent_seconds < SILENCE_SECONDS
        if is_sending and 0 < counts.received - before.received < MIN_BYTES_PER_WINDOW:
            return "sends its request too slowly"
        return None


class SlowClients:
    """Watches the connections that this process has accepted."""

    def __init__(self, oldest_seconds: Callable[[], float], *, now: Callable[[], float] = time.monotonic) -> None:
        self._oldest_seconds = oldest_seconds
        self._now = now
        self._watched: dict[int, Watched] = {}
        self._looked_at = now()

    def start(self) -> None:
        watch("slow-clients", self.look, interval_seconds=TICK_SECONDS)

    def look(self) -> None:
        """Look once at each connection, and end those that make no progress."""
        now = self._now()
        if now - self._looked_at > MAX_GAP_SECONDS:
            self._watched.clear()
        self._looked_at = now
        oldest_seconds = self._oldest_seconds()
        before, self._watched = self._watched, {}
        for inode, descriptor in _accepted_connections().items():
            with suppress(OSError), _borrowed(descriptor) as connection:
                counts = Counts.of(connection)
                watched = self._watched[inode] = before.get(inode) or Watched(counts, now)
                reason = watched.look(counts, now, oldest_seconds=oldest_seconds)
                if reason is not None:
                    logger.info("connection ended: its client %s", reason)
                    _end(inode, descriptor)


def _accepted_connections() -> dict[int, int]:
    """Maps each socket's inode to its descriptor, because a descriptor may be another socket's a moment later."""
    ports, connections = set(), {}
    for inode, descriptor in _sockets():
        with suppress(OSError), _borrowed(descriptor) as connection:
            if connection.family not in {socket.AF_INET, socket.AF_INET6} or connection.type != socket.SOCK_STREAM:
                continue
            port = connection.getsockname()[1]
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                ports.add(port)
                # New connections inherit this. It holds even after the server has closed one with data unread.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS)
            else:
                connections[inode] = descriptor, port
    return {inode: descriptor for inode, (descriptor, port) in connections.items() if port in ports}


def _sockets() -> Iterator[tuple[int, int]]:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - a thousand names, once a second
        inode = _inode_of(int(name))
        if inode is not None:
            yield inode, int(name)


def _inode_of(descriptor: int) -> int | None:
    """None if the descriptor is no socket or has been closed."""
    try:
        target = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except OSError:
        return None
    return int(target[len("socket:[") : -1]) if target.startswith("socket:[") else None


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """The socket of a descriptor that belongs to the server, which closes it."""
    borrowed = socket.socket(fileno=descriptor)
    try:
        yield borrowed
    finally:
        borrowed.detach()


def _end(inode: int, descriptor: int) -> None:
    # A duplicate of the descriptor cannot become another socket's between the check and the shutdown.
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        if _inode_of(connection.fileno()) == inode:
            # The end of the stream is queued behind what the client has not read, and a client that reads nothing would
            # never get there, while the kernel kept the data. So the server's close resets the connection.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            connection.shutdown(socket.SHUT_RDWR)
