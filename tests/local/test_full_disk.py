"""A tracker whose disk is full: it reads, refuses to write, loses nothing, and goes on once there is room."""

import json
import os
import signal
import time
import urllib.error

import psycopg2
import pytest

from app.local.servers import PostgresServer
from app.local.system_user import ServerUser
from tests.local.tracker import Tracker
from tests.memory_disks import fill, mounted_memory, use_up_log
from tests.servers import wait_for

pytestmark = pytest.mark.deep

DISK_MEBIBYTES = 600


class TestFullDisk:
    def test_costs_only_writes_and_nothing_that_was_acknowledged(self, tracker):
        run = tracker.start(RATE_LIMIT_ENABLED="false", API_PROCESSES="2")
        run.wait_until_ready()
        token = tracker.log_in()
        acknowledged = [create(tracker, token, number) for number in range(100)]
        assert disk_check(tracker) == {"ok": True, "reason": None}

        # Room is low, but there is still enough for what people write.
        filling = fill(tracker.data_dir, leave_mebibytes=50)
        assert disk_check(tracker)["reason"].endswith("soon nothing more can be saved")
        acknowledged.append(create(tracker, token, 100))

        fill(tracker.data_dir)
        statuses, deadline = [], time.monotonic() + 30
        while statuses.count(503) < 20 and time.monotonic() < deadline:
            try:
                # Text that does not compress.
                acknowledged.append(create(tracker, token, os.urandom(9000).hex()))
                statuses.append(201)
            except urllib.error.HTTPError as error:
                statuses.append(error.code)
                message = error.read().decode()
            fill(tracker.data_dir)
        assert set(statuses) <= {201, 503}, message
        assert statuses.count(503) == 20
        assert "disk is full" in message

        assert read(tracker, token, acknowledged[0])
        kill_api_processes(tracker, run)
        assert wait_for(tracker.answers, seconds=30)
        assert read(tracker, token, acknowledged[0])

        filling.unlink()
        assert wait_for(lambda: writes(tracker, token), seconds=60)
        assert [task_id for task_id in acknowledged if not read(tracker, token, task_id)] == []
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(timeout=30) == 0

    def test_loses_nothing_when_postgresql_itself_ends(self, tracker):
        """Without room for its log PostgreSQL does not even start, so the supervisor retries until there is room."""
        tracker.start(RATE_LIMIT_ENABLED="false").wait_until_ready()
        token = tracker.log_in()
        acknowledged = [create(tracker, token, number) for number in range(20)]
        server = PostgresServer(tracker.data_dir, ServerUser())
        before = server.running_pid()
        superuser = psycopg2.connect(server.url.replace("//tasktracker@/tasktracker", "//postgres@/postgres"))
        superuser.autocommit = True

        filling = fill(tracker.data_dir)
        use_up_log(superuser)
        assert wait_for(lambda: server.running_pid() != before, seconds=30)
        assert not writes(tracker, token)
        assert tracker.answers()

        filling.unlink()
        assert wait_for(lambda: writes(tracker, token), seconds=60)
        assert [task_id for task_id in acknowledged if not read(tracker, token, task_id)] == []

    def test_a_tracker_starts_on_a_nearly_full_disk(self, tracker):
        tracker.start().wait_until_ready()
        tracker.stop()
        fill(tracker.data_dir, leave_mebibytes=40)

        tracker.start().wait_until_ready()

        assert not disk_check(tracker)["ok"]


def create(tracker, token, number):
    task = {"title": f"Task {str(number)[:20]}", "description": str(number)}
    return tracker.call("POST", "/api/v1/tasks", task, token)["id"]


def read(tracker, token, task_id):
    return tracker.call("GET", f"/api/v1/tasks/{task_id}", None, token)["id"] == task_id


def writes(tracker, token):
    try:
        return create(tracker, token, "again")
    except OSError:
        return False


def disk_check(tracker):
    try:
        return tracker.call("GET", "/readyz", None, None)["checks"]["disk"]
    except urllib.error.HTTPError as error:
        return json.load(error)["checks"]["disk"]


def kill_api_processes(tracker, run):
    """Kill every api process except the one that starts the others."""
    _main, *workers = tracker.pids_of(run, "main.py api")
    for pid in workers:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def tracker(tmp_path):
    (tmp_path / "disk").mkdir()
    with mounted_memory(tmp_path / "disk", mebibytes=DISK_MEBIBYTES):
        tracker = Tracker(tmp_path / "disk")
        tracker.data_dir.parent.chmod(0o755)
        yield tracker
        tracker.stop()
