"""Counts the round trips to PostgreSQL and Redis, by standing between the program and the servers."""

import select
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy.engine import URL, make_url

from app.settings import Settings

CHUNK_BYTES = 64 * 1024
POSTGRES_PORT = 5432
REDIS_PORT = 6379


class CountingRelay:
    """Relays connections to a server. A request after a reply begins another round trip, so a pipeline is one."""

    def __init__(self, listener: socket.socket, connect: Callable[[], socket.socket]) -> None:
        self._listener = listener
        self._connect = connect
        self.count = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client, self._connect()), daemon=True).start()

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        is_waiting = False
        with client, server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for source, target in ((server, client), (client, server)):
                    if source not in ready:
                        continue
                    try:
                        chunk = source.recv(CHUNK_BYTES)
                        target.sendall(chunk)
                    except OSError:
                        return
                    if not chunk:
                        return
                    if source is client and not is_waiting:
                        self.count += 1
                    is_waiting = source is client


@dataclass(frozen=True)
class Trips:
    """The round trips of one request."""

    postgres: float
    redis: float


class Counted:
    """Settings whose servers are reached through relays, and what the relays count."""

    def __init__(self, settings: Settings, postgres: CountingRelay, redis: CountingRelay) -> None:
        self.settings = settings
        self._postgres = postgres
        self._redis = redis

    def count(self, call: Callable[[], None], *, warm_up: int = 5, calls: int = 20) -> Trips:
        """The mean round trips of a call, after connections are open and caches are warm."""
        for _ in range(warm_up):
            call()
        before = self._postgres.count, self._redis.count
        for _ in range(calls):
            call()
        return Trips((self._postgres.count - before[0]) / calls, (self._redis.count - before[1]) / calls)


@contextmanager
def counting(settings: Settings) -> Iterator[Counted]:
    url = make_url(settings.database_url)
    redis_url = urlsplit(settings.redis_url)
    with tempfile.TemporaryDirectory() as directory:
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(Path(directory) / f".s.PGSQL.{POSTGRES_PORT}"))
        unix.listen()
        tcp = socket.create_server(("127.0.0.1", 0))
        relays = (
            CountingRelay(unix, lambda: _connect_postgres(url)),
            CountingRelay(
                tcp, lambda: socket.create_connection((redis_url.hostname or "127.0.0.1", redis_url.port or REDIS_PORT))
            ),
        )
        through_relay = url.set(host=None, port=None).update_query_dict({"host": directory})
        credentials, at, _ = redis_url.netloc.rpartition("@")
        relayed_redis = redis_url._replace(netloc=f"{credentials}{at}127.0.0.1:{tcp.getsockname()[1]}")
        relayed = replace(
            settings,
            database_url=through_relay.render_as_string(hide_password=False),
            redis_url=urlunsplit(relayed_redis),
        )
        try:
            yield Counted(relayed, *relays)
        finally:
            for relay in relays:
                relay.close()


def _connect_postgres(url: URL) -> socket.socket:
    host = url.query.get("host", url.host) or "127.0.0.1"
    assert isinstance(host, str)
    if not host.startswith("/"):
        return socket.create_connection((host, url.port or POSTGRES_PORT))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{host}/.s.PGSQL.{url.port or POSTGRES_PORT}")
    return server
