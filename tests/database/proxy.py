"""A proxy in front of PostgreSQL that cuts off its client in the middle of a commit."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto

from sqlalchemy.engine import URL, make_url

POSTGRES_PORT = 5432


class Cut(Enum):
    """The fate of the next COMMIT: it never reaches PostgreSQL, or its answer never comes back."""

    BEFORE_THE_COMMIT = auto()
    AFTER_THE_COMMIT = auto()


class CuttingProxy:
    def __init__(self, url: str) -> None:
        self._server = make_url(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._next_cut: Cut | None = None
        self._is_closed = False

    @property
    def url(self) -> str:
        port = self._listener.getsockname()[1]
        url = URL.create(
            self._server.drivername,
            self._server.username,
            self._server.password,
            "127.0.0.1",
            port,
            self._server.database,
        )
        return url.render_as_string(hide_password=False)

    def cut(self, cut: Cut, *, for_good: bool = False) -> None:
        """Cut off the next COMMIT; after `for_good`, nobody can connect again."""
        self._next_cut, self._is_closed = cut, False
        self._closes_after = for_good

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                if self._is_closed:
                    client.close()
                    continue
                threading.Thread(target=self._relay, args=(client, self._connect()), daemon=True).start()

    def close(self) -> None:
        # A thread in accept() holds the listener open; this wakes it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connect(self) -> socket.socket:
        host = self._server.query.get("host") or self._server.host or "127.0.0.1"
        port = self._server.port or POSTGRES_PORT
        if not str(host).startswith("/"):
            return socket.create_connection((str(host), port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        answers = threading.Thread(target=_forward, args=(server, client), daemon=True)
        answers.start()
        with client, server, suppress(OSError):
            while chunk := client.recv(65536):
                cut = self._next_cut if b"COMMIT" in chunk else None
                if cut is not None:
                    self._next_cut, self._is_closed = None, self._closes_after
                    client.shutdown(socket.SHUT_RDWR)
                if cut is Cut.BEFORE_THE_COMMIT:
                    break
                server.sendall(chunk)
            server.shutdown(socket.SHUT_WR)
            answers.join()


def _forward(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while chunk := server.recv(65536):
            with suppress(OSError):
                client.sendall(chunk)


@contextmanager
def cutting_proxy(url: str) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(url)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
