"""Runs the tracker in its own processes, so that uploads, workers and memory are measured from outside."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import create_engine, text

from app.settings import Settings
from bench.open_loop import Tally, run
from bench.workload import PASSWORD
from tests.servers import ROOT, free_port, own_user

POLL_SECONDS = 0.1
START_SECONDS = 60.0
STOP_SECONDS = 30.0
IMPORT_SECONDS = 1_800.0
# A part of the command line of each role's processes.
COMMANDS = {"api": "main.py api", "worker": "celery_worker worker", "beat": "celery_worker beat"}
BOUNDARY = "a-boundary-that-no-row-holds"
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="many.csv"\r\n'
    "Content-Type: text/csv\r\n\r\n"
).encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()
HEADER = b"task_name,description,status,priority,created_at,assigned_user\n"


@dataclass(frozen=True)
class Imported:
    """The seconds from the upload's first byte to the last task, and the bytes by which api and worker grew."""

    seconds: float
    api_growth: int
    worker_growth: int


class Tracker:
    def __init__(self, process: subprocess.Popen[str], port: int, seconds_to_ready: float) -> None:
        self._process = process
        self.port = port
        self.seconds_to_ready = seconds_to_ready
        answer = self._call("POST", "/api/v1/auth/login", {"username": "admin", "password": PASSWORD})
        self.headers = {"Authorization": f"Bearer {answer['access_token']}"}

    def open_loop(self, *, rate: int, seconds: float) -> Tally:
        return run(self.port, {**self.headers, "Content-Type": "application/json"}, rate=rate, seconds=seconds)

    def import_rows(self, file: Path) -> Imported:
        api, worker = self._pids(COMMANDS["api"]), self._pids(COMMANDS["worker"])
        before = _resident(api), _resident(worker)
        started = time.perf_counter()
        state = self._upload(file)
        while state["finished_at"] is None:
            if time.perf_counter() - started > IMPORT_SECONDS:
                raise TimeoutError(f"the import does not end: {state}")
            time.sleep(POLL_SECONDS)
            state = self._call("GET", f"/api/v1/imports/{state['id']}")
        seconds = time.perf_counter() - started
        assert state["state"] == "finished", state
        assert state["created_count"] == state["read_count"], state
        return Imported(seconds, _peak(api) - before[0], _peak(worker) - before[1])

    def resident(self, role: str) -> int:
        """The bytes of memory that all processes of the role hold: api, worker or beat."""
        return _resident(self._pids(COMMANDS[role]))

    def stop(self) -> None:
        _end(self._process)

    def _upload(self, file: Path) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port)
        connection.putrequest("POST", "/api/v1/imports")
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
        connection.putheader("Content-Length", str(len(HEAD) + file.stat().st_size + len(TAIL)))
        connection.endheaders(HEAD)
        with file.open("rb") as rows:
            connection.send(rows)
        connection.send(TAIL)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status in {201, 202}, body
        return orjson.loads(body)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port)
        headers = {**getattr(self, "headers", {}), "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else orjson.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status < 300, text
        return orjson.loads(text)

    def _pids(self, text: str) -> list[int]:
        """The ids of the tracker's processes whose command line contains the text."""
        pids = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if text in command and _is_below(int(entry.name), self._process.pid):
                pids.append(int(entry.name))
        return pids


@contextmanager
def tracker(settings: Settings, directory: Path, *, api_processes: int = 1) -> Iterator[Tracker]:
    """Start a tracker with one worker process that uses the servers of `settings`, and stop it at the end."""
    port = free_port()
    # If root starts the tracker, it runs as the owner of its directory. That must be the user of the servers it uses.
    own_user().own(directory)
    environment = {
        **os.environ,
        "DATABASE_URL": _url_of_own_role(settings.database_url),
        "REDIS_URL": settings.redis_url,
        "JWT_SECRET_KEY": settings.jwt_secret_key,
        "DATA_DIR": str(directory),
        "PORT": str(port),
        "API_PROCESSES": str(api_processes),
        "WORKER_PROCESSES": "1",
        "ADMIN_PASSWORD": PASSWORD,
        "RATE_LIMIT_ENABLED": "false",
        "LOG_LEVEL": "WARNING",
        "ENV_FILE": "",
        "DRAIN_SECONDS": str(settings.drain_seconds),
        "DATABASE_POOL_SIZE": str(settings.database_pool_size),
    }
    log = (directory.parent / "tracker.log").open("w+")
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "main.py"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True
    )
    try:
        while "TaskTrackerPro is ready" not in Path(log.name).read_text():
            if process.poll() is not None or time.perf_counter() - started > START_SECONDS:
                raise RuntimeError(f"the tracker does not start: {Path(log.name).read_text()}")
            time.sleep(POLL_SECONDS)
        yield Tracker(process, port, time.perf_counter() - started)
    finally:
        _end(process)
        log.close()


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def _url_of_own_role(url: str) -> str:
    """The URL with the role `tasktracker`, the only role that PostgreSQL allows the tracker's system user."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = 'tasktracker'")):
            connection.execute(text("CREATE ROLE tasktracker LOGIN SUPERUSER"))
    engine.dispose()
    return url.replace("//postgres@", "//tasktracker@")


def write_rows(file: Path, count: int) -> Path:
    """Write a CSV file with six columns and about 95 bytes a row."""
    with file.open("wb") as rows:
        rows.write(HEADER)
        for n in range(count):
            description = b"from a file of many rows like this one, of the usual length"
            rows.write(b'Task %d,"%b",true,high,3/%d/2026,admin\n' % (n, description, n % 28 + 1))
    return file


def _is_below(pid: int, ancestor: int) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def _resident(pids: list[int]) -> int:
    return sum(_of_status(pid, "VmRSS") for pid in pids)


def _peak(pids: list[int]) -> int:
    return sum(_of_status(pid, "VmHWM") for pid in pids)


def _of_status(pid: int, name: str) -> int:
    """The value of a line of /proc/<pid>/status, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
