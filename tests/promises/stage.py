"""The processes of a tracker as a host runs them, on servers of their own that a test may kill, freeze and restart."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg2

from app.local.servers import PostgresServer, ValkeyServer
from app.local.system_user import server_user
from tests.servers import ROOT, free_port, wait_for

PASSWORD = "a password of the tests"
SECRET = "a secret of the tests that is long enough"
# The state LISTEN in /proc/net/tcp.
TCP_LISTEN = "0A"


class Server:
    """A bundled server that keeps its address through every restart."""

    def __init__(self, server: PostgresServer | ValkeyServer, environment: dict[str, str]) -> None:
        """`environment` is for the server; the program that changes to the server's user does not see it."""
        self.server = server
        self._environment = [f"{name}={value}" for name, value in environment.items()]
        self._process: subprocess.Popen[bytes] | None = None
        server.prepare()

    def start(self) -> None:
        """Start and wait until it answers. After a kill its children end first, so a second try may be needed."""
        deadline = time.monotonic() + 60
        while not self.server.is_ready():
            assert time.monotonic() < deadline, f"{self.server.name} does not start"
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    self._command(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.STDOUT,
                    process_group=0,
                )
            time.sleep(0.05)

    def stop(self) -> None:
        self._end(self.server.stop_signal)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    @contextmanager
    def frozen(self):
        """Freeze all of its processes; the kernel accepts connections and nobody answers them."""
        assert self._process is not None
        pids = (self._process.pid, *children_of(self._process.pid))
        signal_all(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            signal_all(pids, signal.SIGCONT)

    def _command(self) -> list[str]:
        command = self.server.command()
        program = command.index("--") + 1 if "--" in command else 0
        return [*command[:program], "env", *self._environment, *command[program:]]

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(timeout=30)


class Served:
    """A tracker that listens on a port of this machine, as its clients see it."""

    def __init__(self, port: int, database_url: str) -> None:
        self.port = port
        self._url = database_url
        self.headers: dict[str, str] = {}

    def log_in(self) -> None:
        status, body = self.ask("POST", "/login", {"username": "admin", "password": PASSWORD})
        assert status == 200, body
        self.headers = {"Authorization": f"Bearer {body['token']}"}

    def connect(self, timeout: float = 60) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask on a connection of its own."""
        connection = self.connect()
        try:
            headers = {**self.headers, "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or "null")
        finally:
            connection.close()

    def upload(self, lines: list[str]) -> int:
        """Upload a file for a worker to import, and return the import's id."""
        status, body = self.send_file("rows.csv", lines)
        assert status in {201, 202}, (status, body)
        import_id: int = body["id"]
        return import_id

    def send_file(self, filename: str, lines: list[str], headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Send a file that contains only titles, one a line."""
        connection = self.connect()
        parts = (
            f'--border\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
            f"Content-Type: text/csv\r\n\r\ntitle\n{chr(10).join(lines)}\n\r\n--border--\r\n"
        )
        headers = {**self.headers, **(headers or {}), "Content-Type": "multipart/form-data; boundary=border"}
        try:
            connection.request("POST", "/api/v1/imports", parts.encode(), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def query(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self._url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, arguments or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def count_listening(self) -> int:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(f":{self.port:04X}") and row[3] == TCP_LISTEN for row in rows)


class Stage(Served):
    """Starts the processes that a test needs; all of them, and the servers, end with the stack."""

    def __init__(self, directory: Path, stack: ExitStack, **environment: str) -> None:
        """`environment` is for the servers too."""
        self._directory = directory
        self._stack = stack
        # A tracker started here gives this user to its processes; the database admits nobody else.
        user = server_user(directory / "data")
        postgres = PostgresServer(directory, user)
        valkey = ValkeyServer(directory, user, "test-password")
        self.postgres = Server(postgres, environment)
        self.valkey = Server(valkey, environment)
        for server in (self.postgres, self.valkey):
            stack.callback(server.stop)
            server.start()
        postgres.make_database()
        super().__init__(free_port(), postgres.url)
        self.environment = {
            **os.environ,
            **environment,
            "PORT": str(self.port),
            "DATA_DIR": str(directory / "data"),
            "API_PROCESSES": "2",
            "WORKER_PROCESSES": "2",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url(0),
            "CELERY_BROKER_URL": valkey.url(1),
            "JWT_SECRET_KEY": SECRET,
            "ADMIN_PASSWORD": PASSWORD,
            "RATE_LIMIT_ENABLED": "false",
            "LOG_LEVEL": "WARNING",
            "DRAIN_SECONDS": "1.5",
            # A token has to outlive the clocks that a test sets, even the furthest of them.
            "CLASSIC_TOKEN_MINUTES": "1440",
            # Its name in the previous release.
            "TABLE_TOKEN_MINUTES": "1440",
        }

    def prepare(self, release: Path = ROOT) -> None:
        """Create the schema of this release and the first admin."""
        done = subprocess.run(
            [sys.executable, "main.py", "prepare"],
            cwd=release,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, process_name: str, *, release: Path = ROOT, **environment: str) -> subprocess.Popen[bytes]:
        with self._log(process_name).open("a") as output:
            process = subprocess.Popen(
                [sys.executable, "main.py", process_name],
                cwd=release,
                env=self.environment | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self._stack.callback(kill_group, process)
        return process

    def start_api(self, *, release: Path = ROOT, **environment: str) -> subprocess.Popen[bytes]:
        """Start another api beside those that run, and wait until each of its processes listens on the shared port."""
        process_count = self.count_listening() + int((self.environment | environment)["API_PROCESSES"])
        api = self.start("api", release=release, **environment)
        assert wait_for(lambda: self.count_listening() >= process_count, seconds=90), self.output("api")
        if not self.headers:
            self.log_in()
        return api

    def start_tracker(self) -> subprocess.Popen[bytes]:
        """Start api, worker and beat under the supervisor, which restarts what ends."""
        tracker = self.start("run")
        # Its processes have groups of their own; they are stopped in order.
        self._stack.callback(stop, tracker)
        assert wait_for(lambda: "TaskTrackerPro is ready" in self.output("run"), seconds=120), self.output("run")
        self.log_in()
        return tracker

    def start_worker(self) -> subprocess.Popen[bytes]:
        worker = self.start("worker")
        assert wait_for(lambda: "worker is ready" in self.output("worker"), seconds=90), self.output("worker")
        return worker

    def output(self, process_name: str) -> str:
        return self._log(process_name).read_text()

    def _log(self, process_name: str) -> Path:
        return self._directory / f"{process_name}.log"


def children_of(pid: int | None) -> list[int]:
    """Return an empty list for None and for a process that is gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def signal_all(pids: tuple[int, ...] | list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def pid_of(tracker: subprocess.Popen[bytes], process_name: str) -> int | None:
    """Return the process of this name that the tracker keeps running; None while it is away."""
    for pid in children_of(tracker.pid):
        with suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")[-2:] == [
                b"main.py",
                process_name.encode(),
            ]:
                return pid
    return None


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
