"""`python main.py` as a person runs it: real servers, real processes, real signals."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from app.local.data_dir import numbers_dir
from app.local.system_user import server_user
from tests.servers import ROOT, free_port, wait_for

PASSWORD = "a password of the tests"
# What any start may take, on a busy machine.
READY_SECONDS = 60


class TestMain:
    def test_a_killed_tracker_comes_back_with_its_data_and_a_stopped_one_leaves_no_process(self, tracker):
        first = tracker.start()
        block = first.wait_until_ready()
        assert f"http://127.0.0.1:{tracker.port}" in block
        assert str(tracker.data_dir) in block
        token = tracker.log_in()
        task_id = tracker.call("POST", "/task", {"task_name": "Survive"}, token)["id"]

        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        second = tracker.start()
        second.wait_until_ready()

        assert {"id": task_id, "task_name": "Survive"} in tracker.call("GET", "/activetasks", None, token)
        assert "adopted" in second.output()
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(timeout=15) == 0
        assert tracker.processes() == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root has a privilege to drop")
    def test_started_by_root_no_part_is_root_and_all_end_with_it(self, tracker):
        run = tracker.start()
        run.wait_until_ready()
        parts = [pid for pid, command in tracker.processes() if "main.py api" in command or "celery" in command]

        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in parts}
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()

        assert len(parts) >= 5
        assert owners == {server_user(tracker.data_dir).uid}
        assert wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in parts), seconds=20)

    def test_a_part_that_dies_comes_back(self, tracker):
        run = tracker.start()
        run.wait_until_ready()
        api, *_workers = tracker.pids_of(run, "main.py api")

        os.kill(api, signal.SIGKILL)

        assert wait_for(lambda: "api      | was killed by SIGKILL" in run.output()), run.output()
        # What the dead one had started may answer for a moment yet.
        assert wait_for(lambda: is_another_running(tracker, run, api), seconds=20), run.output()
        assert wait_for(tracker.answers, seconds=READY_SECONDS), run.output()

    def test_the_day_is_logged_by_the_worker(self, tracker):
        tracker.start().wait_until_ready()
        token = tracker.log_in()
        tracker.call("POST", "/task", {"task_name": "Open today"}, token)

        tracker.call("POST", "/log-tasks", None, token)

        assert wait_for(lambda: tracker.call("GET", "/tasks", None, token)["total"] == 1)

    def test_a_second_tracker_on_the_same_data_is_refused(self, tracker):
        tracker.start().wait_until_ready()

        second = tracker.start()

        assert second.process.wait(timeout=20) == 1
        assert "already runs on" in second.output()

    def test_a_quiet_one_starts_too_and_tells_no_hash(self, tracker):
        run = tracker.start(LOG_LEVEL="ERROR")
        run.wait_until_ready()
        token = tracker.log_in()
        taken = {"username": "admin", "email": "other@example.org", "password": "a good password", "role": "user"}

        with pytest.raises(urllib.error.HTTPError, match="409"):
            tracker.call("POST", "/user", taken, token)

        run.process.send_signal(signal.SIGTERM)
        run.process.wait(timeout=20)
        assert "argon2" not in run.output()
        assert "other@example.org" not in run.output()

    def test_a_stranger_with_an_old_number_is_left_alone(self, tracker):
        """Process numbers are used again; what a file says of one need not be true any more."""
        first = tracker.start()
        first.wait_until_ready()
        tracker.stop()
        stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "valkey-server"])
        (tracker.data_dir / "valkey" / "valkey.pid").write_text(str(stranger.pid))

        tracker.start().wait_until_ready()
        tracker.stop()

        assert stranger.poll() is None
        stranger.kill()
        stranger.wait()

    def test_a_directory_of_other_things_is_left_as_it_is(self, tracker):
        tracker.data_dir.mkdir(mode=0o755)
        (tracker.data_dir / "letters.txt").write_text("Dear Ada")

        run = tracker.start()

        assert run.process.wait(timeout=20) == 1
        assert "holds other files" in run.output()
        assert tracker.data_dir.stat().st_mode & 0o777 == 0o755

    def test_a_made_up_password_is_shown_though_the_start_that_made_it_was_killed(self, tracker):
        waiting = tracker.data_dir / "first-password"
        first = tracker.start(ADMIN_PASSWORD="")
        assert wait_for(
            lambda: waiting.exists() and tracker.data_dir.joinpath("first-password").read_text(), seconds=30
        )
        assert wait_for(lambda: "worker is ready" in first.output() or not waiting.exists(), seconds=30)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        was_shown = "TaskTrackerPro is ready" in first.output()

        block = (first.output() if was_shown else "") + tracker.start(ADMIN_PASSWORD="").wait_until_ready()

        assert tracker.log_in(re.search(r"Log in +admin / (\S+)", block)[1])
        assert not waiting.exists()

    def test_a_port_in_use_is_named(self, tracker):
        with socket.create_server(("127.0.0.1", tracker.port)):
            run = tracker.start()

            assert run.process.wait(timeout=40) == 1
        assert f"port {tracker.port} cannot be used" in run.output()
        assert tracker.processes() == []

    def test_a_weak_admin_password_is_refused_by_name(self, tracker):
        run = tracker.start(ADMIN_PASSWORD="short")

        assert run.process.wait(timeout=40) == 1
        assert "ADMIN_PASSWORD" in run.output()
        assert "short" not in run.output().replace("Shorter", "")

    def test_wrong_settings_are_all_named(self, tracker):
        run = tracker.start(PORT="none", RATE_LIMIT_LOGIN="often")

        assert run.process.wait(timeout=40) == 2
        assert "PORT" in run.output()

    def test_a_password_that_is_made_up_is_shown_and_works(self, tracker):
        block = tracker.start(ADMIN_PASSWORD="").wait_until_ready()

        password = re.search(r"Log in +admin / (\S+)", block)[1]

        assert tracker.log_in(password)


class TestLogs:
    def test_a_logged_day_is_printed_as_a_table(self, tracker):
        tracker.start().wait_until_ready()
        token = tracker.log_in()
        tracker.call("POST", "/task", {"task_name": "Open today\x1b[31m", "assigned_user": "admin"}, token)
        tracker.call("POST", "/log-tasks", None, token)
        assert wait_for(lambda: tracker.call("GET", "/tasks", None, token)["total"] == 1)

        printed = tracker.command("logs")

        heading, columns, _, row = printed.stdout.splitlines()
        assert heading.endswith("(UTC, up to now, manual): 1 tasks")
        assert columns.split() == ["REF", "STATUS", "PRIORITY", "ASSIGNEE", "DUE_AT", "TITLE"]
        assert row.split(maxsplit=5) == ["GEN-1", "todo", "medium", "admin", "-", "Open today[31m"]
        day = heading.split()[0]
        assert tracker.command("logs", "--date", day, "--diff", day).stdout.splitlines()[0] == f"From {day} to {day}"

    def test_a_day_that_is_not_logged_is_told_and_so_is_a_tracker_that_does_not_run(self, tracker):
        assert "no tracker runs on" in tracker.command("logs").stderr
        tracker.start().wait_until_ready()

        answer = tracker.command("logs", "--date", "2026-01-01")

        assert (answer.returncode, answer.stderr) == (1, "2026-01-01 has not been logged.\n")
        assert "x is not a day" in tracker.command("logs", "--date", "x").stderr


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
        self._runs: list[Run] = []
        self.port = free_port()

    def start(self, *, stdout: int | None = None, **environment: str) -> Run:
        log = self._directory / f"run{len(self._runs)}.log"
        ours = {"PORT": str(self.port), "DATA_DIR": str(self.data_dir), "ADMIN_PASSWORD": PASSWORD}
        inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "main.py"],
                cwd=ROOT,
                env=inherited | ours | {"API_PROCESSES": "1", "WORKER_PROCESSES": "1"} | environment,
                stdout=output if stdout is None else stdout,
                stderr=subprocess.STDOUT,
            )
        self._runs.append(Run(process, log))
        return self._runs[-1]

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
        for run in self._runs:
            if run.process.poll() is None:
                run.process.send_signal(signal.SIGTERM)
                run.process.wait(timeout=60)
        if self._runs and self._runs[-1].process.returncode == -signal.SIGKILL:
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
            if entry.name.isdecimal() and int(entry.name) not in {run.process.pid for run in self._runs}:
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
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)


def parent_of(pid: int) -> int | None:
    """None of one that ended meanwhile."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def is_another_running(tracker: Tracker, run: Run, before: int) -> bool:
    """An api that the supervisor has started since."""
    return any(pid != before and parent_of(pid) == run.process.pid for pid in tracker.pids_of(run, "main.py api"))


@pytest.fixture
def tracker(tmp_path):
    tracker = Tracker(tmp_path)
    yield tracker
    tracker.stop()
