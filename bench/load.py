"""Generates load over HTTP in a process of its own: so many connections, each with one request at a time.

`python -m bench.load` reads a `Plan` as JSON from its input and writes a `Load` as JSON. One thread serves all
connections with plain sockets, because a client library would need more of the processor than the server under test.
"""

import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHUNK_BYTES = 256 * 1024
# A server that answers nothing for this long has failed.
SILENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Sent:
    """A request: method, path with query, JSON text of the body."""

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True)
class Plan:
    """The requests are sent in turn, beginning with number `first`."""

    port: int
    requests: Sequence[Sent]
    connections: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    first: int = 0


@dataclass(frozen=True)
class Load:
    """The seconds of each answered request, how many answers each status had, and how long the load lasted."""

    latencies: list[float]
    statuses: dict[str, int]
    seconds: float

    @property
    def refused(self) -> int:
        return sum(count for status, count in self.statuses.items() if not status.startswith("2"))

    @property
    def rate(self) -> float:
        """Successful answers in a second."""
        return (len(self.latencies) - self.refused) / self.seconds


def generate(plan: Plan) -> Load:
    """Run the plan in another process."""
    command = [sys.executable, "-m", "bench.load"]
    text = json.dumps(asdict(plan))
    done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the load generator failed: {done.stderr.strip().splitlines()[-1]}")
    return Load(**json.loads(done.stdout))


class _Connection:
    """A keep-alive connection, opened again when the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.socket = self._open()
        self._received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> tuple[str, bool] | None:
        """The status of the answer and whether the connection is still open; None while the answer is incomplete."""
        chunk = self.socket.recv(CHUNK_BYTES)
        self._received += chunk
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            if not chunk:
                raise ConnectionError(f"the server closed the connection after {self._received[:200]!r}")
            return None
        fields = head.lower()
        if not _is_complete(fields, body, is_closed=not chunk):
            return None
        self._received = b""
        return head.split(b" ", 2)[1].decode(), bool(chunk) and b"\r\nconnection: close" not in fields

    def reopen(self) -> None:
        self.socket.close()
        self.socket = self._open()

    def _open(self) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self._port), timeout=SILENCE_SECONDS)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened


def _is_complete(fields: bytes, body: bytes, *, is_closed: bool) -> bool:
    _, name, rest = fields.partition(b"\r\ncontent-length:")
    if name:
        return len(body) >= int(rest.split(b"\r\n", 1)[0])
    if b"\r\ntransfer-encoding: chunked" in fields:
        return body.endswith(b"0\r\n\r\n")
    return is_closed or fields.split(b" ", 2)[1] == b"204"


def _run(plan: Plan) -> Load:
    requests = [_bytes_of(request, plan.headers) for request in plan.requests]
    number = plan.first
    latencies: list[float] = []
    statuses: dict[str, int] = {}
    selector = selectors.DefaultSelector()
    began_at = time.perf_counter()
    for _ in range(plan.connections):
        connection = _Connection(plan.port)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(requests[number % len(requests)])
        number += 1
    while selector.get_map():
        ready = selector.select(SILENCE_SECONDS)
        if not ready:
            raise TimeoutError(f"no answer within {SILENCE_SECONDS:g} s")
        for key, _ in ready:
            connection = key.data
            answer = connection.receive()
            if answer is None:
                continue
            status, is_open = answer
            now = time.perf_counter()
            latencies.append(now - connection.sent_at)
            statuses[status] = statuses.get(status, 0) + 1
            is_over = now > began_at + plan.seconds
            if is_over or not is_open:
                selector.unregister(connection.socket)
            if is_over:
                connection.socket.close()
                continue
            if not is_open:
                # Opening the connection again is part of the next request's time.
                connection.reopen()
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(requests[number % len(requests)])
            number += 1
    return Load(latencies, statuses, time.perf_counter() - began_at)


def _bytes_of(request: Sent, headers: dict[str, str]) -> bytes:
    lines = [f"{request.method} {request.path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if request.body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(request.body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + request.body).encode()


def main() -> None:
    plan = json.load(sys.stdin)
    requests = [Sent(**request) for request in plan.pop("requests")]
    print(json.dumps(asdict(_run(Plan(requests=requests, **plan)))))


if __name__ == "__main__":
    main()
