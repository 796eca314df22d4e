"""Sends requests at a fixed rate, whether or not the earlier ones were answered, as many independent users would.

In a closed loop, a client waits for each answer, so it slows down with the server and never sees the server's queue.
Here each request is due at a fixed moment, and its time is measured from that moment.
"""

import itertools
import random
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

import orjson

from bench.rows import percentile

CLIENTS = 64
TIMEOUT_SECONDS = 30
WARM_UP_TASKS = 20


@dataclass
class Tally:
    """The seconds of each accepted request and of each request refused with 503, and the other outcomes."""

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @staticmethod
    def p99(seconds: list[float]) -> float:
        return percentile(seconds, 99)


def run(port: int, headers: dict[str, str], *, rate: int, seconds: float) -> Tally:
    """Send `rate` requests a second: create, get, list, history, patch and search in turn."""
    first = _connect(port)
    ids = [_create(first, headers) for _ in range(WARM_UP_TASKS)]
    tally, lock = Tally(), threading.Lock()
    moments = itertools.count()
    began_at = time.perf_counter()

    def client() -> None:
        connection = _connect(port)
        while True:
            with lock:
                number = next(moments)
            due_at = began_at + number / rate
            if due_at > began_at + seconds:
                connection.close()
                return
            time.sleep(max(0.0, due_at - time.perf_counter()))
            method, path, body = _requests(ids)[number % 6]
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, HTTPException) as error:
                tally.failures.append(type(error).__name__)
                connection.close()
                continue
            taken = time.perf_counter() - due_at
            if answer.status < HTTPStatus.BAD_REQUEST:
                tally.accepted.append(taken)
            elif answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                tally.refused.append(taken)
            else:
                tally.failures.append(str(answer.status))

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


def _requests(ids: list[int]) -> list[tuple[str, str, bytes | None]]:
    one = f"/api/v1/tasks/{random.choice(ids)}"  # noqa: S311 - which one does not matter
    return [
        ("POST", "/api/v1/tasks", b'{"title": "Measured in an open loop"}'),
        ("GET", one, None),
        ("GET", "/api/v1/tasks?limit=50", None),
        ("GET", f"{one}/history", None),
        ("PATCH", one, b'{"priority": "high"}' if random.random() < 0.5 else b'{"priority": "low"}'),  # noqa: S311
        ("GET", "/api/v1/tasks?q=measured&limit=20", None),
    ]


def _create(connection: HTTPConnection, headers: dict[str, str]) -> int:
    connection.request("POST", "/api/v1/tasks", b'{"title": "To be read and changed"}', headers)
    return int(orjson.loads(connection.getresponse().read())["id"])


def _connect(port: int) -> HTTPConnection:
    return HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
