"""`python main.py` for tests: starts trackers in processes of their own, reads their output and calls their api."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from app.local.data_dir import numbers_dir
from tests.servers import ROOT, free_port, wait_for

PASSWORD = "a password of the tests"
# What any start may take, on a busy machine.
READY_SECONDS = 60


class Run:
    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self._log = log

    def output(self) -> str:
        return self._log.read_text()

    def wait_until_ready(self) -> str:
        ready = wait_for(
            lambda: "TaskTrackerPro is ready" in self.output() or self.process.poll() is not None, seconds=READY_SECONDS
        )
        assert ready, self.output()
        assert self.process.poll() is None, self.output()
        return self.output().partition("TaskTrackerPro is ready")[2]


class Tracker:
    def __init__(self, directory: Path) -> None:
        self.data_dir = directory / "data"
        self._directory = directory
        self.runs: list[Run] = []
        self.port = free_port()

    def start(self, *program: str, stdout: int | None = None, **environment: str) -> Run:
        """Start `main.py`, or another program that is given to Python."""
        log = self._directory / f"run{len(self.runs)}.log"
        ours = {"PORT": str(self.port), "DATA_DIR": str(self.data_dir), "ADMIN_PASSWORD": PASSWORD}
        inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, *(program or ("main.py",))],
                cwd=ROOT,
                env=inherited | ours | {"API_PROCESSES": "1", "WORKER_PROCESSES": "1"} | environment,
                stdout=output if stdout is None else stdout,
                stderr=subprocess.STDOUT,
            )
        self.runs.append(Run(process, log))
        return self.runs[-1]

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`main.py` with those arguments, beside the tracker that runs."""
        inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        return subprocess.run(
            [sys.executable, "main.py", *arguments],
            cwd=ROOT,
            env=inherited | {"DATA_DIR": str(self.data_dir)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def stop(self) -> None:
        for run in self.runs:
            if run.process.poll() is None:
                run.process.send_signal(signal.SIGTERM)
                run.process.wait(timeout=60)
        if self.runs and self.runs[-1].process.returncode == -signal.SIGKILL:
            self._end_what_outlived_it()

    def _end_what_outlived_it(self) -> None:
        """The servers of a tracker that was killed, and what its api counted into."""
        for pid, _ in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        assert wait_for(lambda: self.processes() == [], seconds=30), self.processes()
        shutil.rmtree(numbers_dir(self.data_dir))

    def processes(self) -> list[tuple[int, str]]:
        """What runs for this tracker: its servers work in its directory, its programs have it in their environment."""
        found = []
        marks = (os.fsencode(str(self.data_dir)),)
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) not in {run.process.pid for run in self.runs}:
                try:
                    command = (entry / "cmdline").read_bytes()
                    environment = (entry / "environ").read_bytes()
                    # Valkey writes its title over its command and its environment.
                    directory = os.fsencode((entry / "cwd").readlink())
                except OSError:
                    continue
                if command and any(mark in command + environment + directory for mark in marks):
                    found.append((int(entry.name), command.replace(b"\0", b" ").decode(errors="replace")))
        return sorted(found)

    def programs(self) -> list[int]:
        """The pids of all that is not a server: api, worker, beat, and what they started."""
        return [pid for pid, command in self.processes() if "main.py api" in command or "celery" in command]

    def pids_of(self, run: Run, command: str) -> list[int]:
        """The pids of processes with this command, the supervisor's own child first: pids wrap around."""
        pids = [pid for pid, line in self.processes() if command in line]
        return sorted(pids, key=lambda pid: parent_of(pid) != run.process.pid)

    def answers(self) -> bool:
        try:
            return self.call("GET", "/ping", None, None) == {"message": "pong!"}
        except (OSError, urllib.error.URLError):
            return False

    def log_in(self, password: str = PASSWORD) -> str:
        return self.call("POST", "/login", {"username": "admin", "password": password}, None)["token"]

    def call(self, method: str, path: str, body: object, token: str | None) -> object:
        return json.loads(self.answer(method, path, body, token))

    def answer(self, method: str, path: str, body: object, token: str | None) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            body_of_answer: bytes = answer.read()
            return body_of_answer


def parent_of(pid: int) -> int | None:
    """None of one that ended meanwhile."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def is_another_running(tracker: Tracker, run: Run, before: int) -> bool:
    """An api that the supervisor has started since."""
    return any(pid != before and parent_of(pid) == run.process.pid for pid in tracker.pids_of(run, "main.py api"))
