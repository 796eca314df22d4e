"""Answers requests while the tracker starts: it is alive, but not ready, and says what it waits for."""

import json
import secrets
import select
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

from app.local.system_user import ServerUser

RETRY_AFTER_SECONDS = 1
# A client that sends its request more slowly than this gets no answer.
CLIENT_SECONDS = 2.0
MAX_BODY_BYTES = 64 * 1024


class StartingServer:
    """Listens on the api's address until the end of the block, at last together with the api.

    Linux lets several sockets listen on one address if all agree (SO_REUSEPORT) and belong to one user. So this one
    belongs to the user of the api, and there is no moment in which nobody listens. It agrees only once it listens, so
    two trackers that start at the same moment never share an address.
    """

    def __init__(self, host: str, port: int, user: ServerUser) -> None:
        """Raises OSError if the address cannot be used, also because somebody else would share it."""
        self.reason = "the servers are starting"
        self._server = _Server((host, port), self, user)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.answer_waiting()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    # The api must not wait for a slow client.
    block_on_close = False

    def __init__(self, address: tuple[str, int], starting: StartingServer, user: ServerUser) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.starting = starting
        with user.acting():
            super().__init__(address, _Handler, bind_and_activate=False)
        try:
            self.server_bind()
            self.server_activate()
        except OSError:
            self.server_close()
            raise

    def server_bind(self) -> None:
        """Bind without the look into the DNS that the standard library takes, which may last for seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)

    def server_activate(self) -> None:
        """Listen alone, which fails if anybody else listens there; then let the api join."""
        super().server_activate()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def answer_waiting(self) -> None:
        """Answer clients whose connections were waiting when the server stopped; closing would reset them."""
        while select.select([self.socket], [], [], 0)[0]:
            self.handle_request()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CLIENT_SECONDS

    def do_GET(self) -> None:
        match urlsplit(self.path).path:
            case "/healthz":
                self._answer(HTTPStatus.OK, {"status": "ok"})
            case "/readyz":
                checks = {"start": {"ok": False, "reason": self.server.starting.reason}}
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not ready", "checks": checks})
            case _:
                self._refuse()

    def _refuse(self) -> None:
        # A client that is still sending would lose the answer.
        with suppress(OSError, ValueError):
            self.rfile.read(min(int(self.headers.get("Content-Length", 0)), MAX_BODY_BYTES))
        status = HTTPStatus.SERVICE_UNAVAILABLE
        problem = {
            "type": "about:blank",
            "title": status.phrase,
            "status": int(status),
            "detail": f"the tracker is starting: {self.server.starting.reason}",
            "code": "starting",
            "request_id": secrets.token_hex(16),
        }
        self._answer(status, problem, "application/problem+json")

    do_HEAD = do_GET  # noqa: N815 - the base class looks for these names
    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815

    def _answer(self, status: HTTPStatus, body: object, content_type: str = "application/json") -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "no-store")
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", str(RETRY_AFTER_SECONDS))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def version_string(self) -> str:
        return "TaskTrackerPro"

    def log_message(self, *_arguments: object) -> None:
        """Log nothing: whoever waits for the start asks every moment."""
