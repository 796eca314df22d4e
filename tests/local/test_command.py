"""`python main.py` as a person runs it: real servers, real processes, real signals."""

import csv
import io
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest

from app.csv_files.cells import restored
from app.local.system_user import server_user
from tests.local.tracker import READY_SECONDS, Tracker, is_another_running
from tests.servers import ROOT, wait_for

# A tracker that does not wait for its port as long as usual.
IMPATIENT = """
import sys
from app.local import command
command.PORT_SECONDS = 0.5
sys.exit(command.main([]))
"""


class TestMain:
    @pytest.mark.slow
    def test_a_killed_tracker_comes_back_with_its_data_and_a_stopped_one_leaves_no_process(self, tracker):
        first = tracker.start()
        block = first.wait_until_ready()
        assert f"http://127.0.0.1:{tracker.port}" in block
        assert str(tracker.data_dir) in block
        token = tracker.log_in()
        task_id = tracker.call("POST", "/task", {"task_name": "Survive"}, token)["id"]
        programs = tracker.programs()

        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        second = tracker.start()
        second.wait_until_ready()

        assert {"id": task_id, "task_name": "Survive"} in tracker.call("GET", "/activetasks", None, token)
        assert "adopted" in second.output()
        assert wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in programs), seconds=20)
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(timeout=15) == 0
        assert tracker.processes() == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root has a privilege to drop")
    def test_started_by_root_no_part_is_root(self, running):
        programs = running.programs()

        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in programs}

        assert len(programs) >= 5
        assert owners == {server_user(running.data_dir).uid}

    def test_a_part_that_dies_comes_back(self, running):
        run = running.runs[0]
        api, *_workers = running.pids_of(run, "main.py api")

        os.kill(api, signal.SIGKILL)

        assert wait_for(lambda: "api      | was killed by SIGKILL" in run.output()), run.output()
        # What the dead one had started may answer for a moment yet.
        assert wait_for(lambda: is_another_running(running, run, api), seconds=20), run.output()
        assert wait_for(running.answers, seconds=READY_SECONDS), run.output()

    def test_the_day_is_logged_by_the_worker(self, running):
        token = running.log_in()
        task = running.call("POST", "/task", {"task_name": "Open today"}, token)

        running.call("POST", "/log-tasks", None, token)

        assert wait_for(lambda: is_logged(running, task["id"], token))

    def test_a_second_tracker_on_the_same_data_is_refused(self, running):
        second = running.start()

        assert second.process.wait(timeout=20) == 1
        assert "already runs on" in second.output()

    def test_a_quiet_one_shows_the_password_that_it_made_up_and_tells_no_hash(self, tracker):
        run = tracker.start(LOG_LEVEL="ERROR", ADMIN_PASSWORD="")
        password = re.search(r"Log in +admin / (\S+)", run.wait_until_ready())[1]
        token = tracker.log_in(password)
        taken = {"username": "admin", "email": "other@example.org", "password": "a good password", "role": "user"}

        with pytest.raises(urllib.error.HTTPError, match="409"):
            tracker.call("POST", "/user", taken, token)

        run.process.send_signal(signal.SIGTERM)
        run.process.wait(timeout=20)
        assert "argon2" not in run.output()
        assert "other@example.org" not in run.output()

    def test_a_stranger_with_an_old_number_is_left_alone(self, tracker):
        """Process numbers are used again; what a file says of one need not be true any more."""
        stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "valkey-server"])
        (tracker.data_dir / "valkey").mkdir(parents=True)
        (tracker.data_dir / "lock").touch()
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

    @pytest.mark.slow
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
            run = tracker.start("-c", IMPATIENT)

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


class TestImage:
    """A container starts the program with the settings that `docker run` names, and no others."""

    @pytest.mark.parametrize("command", ["api", "worker", "beat", "prepare"])
    def test_without_settings_it_prints_what_it_needs(self, command):
        ended = run_in_container(command)

        assert (ended.returncode, ended.stdout) == (2, "")
        for name in ("DATABASE_URL", "REDIS_URL", "JWT_SECRET_KEY"):
            assert f"  {name}: " in ended.stderr
        assert "openssl rand -base64 48" in ended.stderr
        for process in ("prepare", "worker", "beat"):
            assert re.search(rf"^  docker run .*IMAGE {process} ", ended.stderr, re.MULTILINE)

    def test_a_wrong_setting_alone_is_only_named(self):
        given = {"DATABASE_URL": "postgresql://db/app", "REDIS_URL": "redis://redis", "JWT_SECRET_KEY": "x" * 32}

        ended = run_in_container("api", **given, LOG_LEVEL="loud")

        assert (ended.returncode, ended.stderr.splitlines()[0]) == (2, "These settings are missing or wrong:")
        assert len(ended.stderr.splitlines()) == 2


def run_in_container(*arguments, **settings):
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestLogs:
    def test_a_logged_day_is_printed_as_a_table(self, running):
        token = running.log_in()
        values = {"task_name": "Open today\x1b[31m", "assigned_user": "admin"}
        task_id = running.call("POST", "/task", values, token)["id"]
        running.call("POST", "/log-tasks", None, token)
        assert wait_for(lambda: is_logged(running, task_id, token))

        printed = running.command("logs")

        heading, counts, columns, _, *rows = printed.stdout.splitlines()
        assert heading.endswith(f"(UTC, up to now, manual): {len(rows)} tasks")
        assert sum(map(int, re.findall(r"\d+", counts))) == len(rows)
        assert columns.split() == ["REF", "STATUS", "PRIORITY", "ASSIGNEE", "DUE_AT", "TITLE"]
        ref = running.call("GET", f"/api/v1/tasks/{task_id}", None, token)["ref"]
        (row,) = (row for row in rows if row.split()[0] == ref)
        assert row.split(maxsplit=5) == [ref, "todo", "medium", "admin", "-", "Open today[31m"]
        day = heading.split()[0]
        assert running.command("logs", "--date", day, "--diff", day).stdout.splitlines()[0] == f"From {day} to {day}"

    def test_a_day_has_the_rows_and_the_figures_of_the_api(self, running, monkeypatch):
        # The table is wide enough for whole titles.
        monkeypatch.setenv("COLUMNS", "1000")
        token = running.log_in()
        for status in ("todo", "in_progress", "blocked", "blocked", "done"):
            values = {"title": f"=Task that is {status}, or was", "status": status, "due_at": "2026-12-24T12:00:00Z"}
            task = running.call("POST", "/api/v1/tasks", {**values, "assignee": "admin"}, token)
        running.call("POST", "/log-tasks", None, token)
        assert wait_for(lambda: is_logged(running, task["id"] - 1, token))
        day = running.call("GET", "/api/v1/task-logs/runs?limit=1", None, token)["items"][0]["log_date"]

        heading, counts, *table = running.command("logs", "--date", day).stdout.splitlines()

        content = running.answer("GET", f"/api/v1/task-logs?date={day}&format=csv", None, token).decode()
        logged = list(csv.DictReader(io.StringIO(content, newline="")))
        assert rows_of(table) == [{name: printed(row[name]) for name in rows_of(table)[0]} for row in logged]
        (figures,) = running.call("GET", f"/api/v1/task-logs/days?from={day}&to={day}", None, token)["items"]
        assert heading.endswith(f": {figures['task_count']} tasks")
        assert dict(re.findall(r"(\w+) (\d+)", counts)) == {
            status: str(task_count) for status, task_count in figures["by_status"].items()
        }
        assert figures["task_count"] == len(logged)
        assert figures["by_status"]["blocked"] >= 2

    def test_a_day_that_is_not_logged_is_told(self, running):
        answer = running.command("logs", "--date", "2026-01-01")

        assert (answer.returncode, answer.stderr) == (1, "2026-01-01 has not been logged.\n")
        assert "x is not a day" in running.command("logs", "--date", "x").stderr

    def test_a_tracker_that_does_not_run_is_told(self, tracker):
        assert "no tracker runs on" in tracker.command("logs").stderr


def rows_of(table):
    """The rows of a printed table. The line below the names shows how wide each column is."""
    names, rule, *rows = table
    columns = [(match.start(), match.end()) for match in re.finditer("-+", rule)]
    keys = [names[start:end].strip().lower() for start, end in columns]
    return [dict(zip(keys, [row[start:end].strip() for start, end in columns], strict=True)) for row in rows]


def printed(cell):
    """A cell of a CSV file as the command prints the value."""
    return "".join(filter(str.isprintable, restored(cell))).strip() or "-"


def is_logged(tracker, task_id, token):
    page = tracker.call("GET", "/tasks?per_page=200", None, token)
    return any(row["task_id"] == task_id for row in page["tasks"])


@pytest.fixture
def tracker(tmp_path):
    tracker = Tracker(tmp_path)
    yield tracker
    tracker.stop()
