"""Clocks that are set back and forward under the whole tracker: every past day is logged once and as it was.

All processes, PostgreSQL and Valkey among them, use another clock. Only the time since a process began is real.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.promises.stage import Stage, kill_group
from tests.servers import ROOT, wait_for

ZONE = ZoneInfo("Europe/Berlin")
# A process may use an earlier setting of its clock for this time.
CACHED_SECONDS = 1
# The time before a midnight that passes by itself, for some changes.
LEAD = timedelta(seconds=25)
LOGGED_SECONDS = 60
READY_SECONDS = 90
# The real beat, except that it asks for due days every two seconds.
BEAT = """
import sys
from app.job_queue import JobName
from app.jobs import schedule
schedule.SCHEDULE["log due days"] = schedule._every(2, JobName.LOG_DUE_DAYS)
from celery_worker import celery_app
celery_app.start(sys.argv[1:])
"""

pytestmark = pytest.mark.deep


class TestSetClocks:
    def test_every_past_day_is_logged_once_and_as_it_was(self, tracker):
        # A midnight passes by itself.
        tracker.set_clock(local(2026, 10, 25) - LEAD)
        tracker.change_tasks()
        tracker.pass_midnight(date(2026, 10, 24))

        # The hour that comes twice, and the end of a day of 25 hours.
        tracker.set_clock(datetime(2026, 10, 25, 0, 59, 50, tzinfo=UTC))
        tracker.change_tasks()
        tracker.wait_until(datetime(2026, 10, 25, 1, 0, 5, tzinfo=UTC))
        tracker.change_tasks()
        tracker.set_clock(local(2026, 10, 26) - LEAD)
        tracker.change_tasks()
        tracker.pass_midnight(date(2026, 10, 25))

        # Set the clock back into a closed day: the day is unchanged, and new changes belong to the next one.
        tracker.change_tasks()
        tracker.set_clock(tracker.now() - timedelta(hours=2))
        tracker.change_tasks()
        assert tracker.is_beat_seen_again_within(READY_SECONDS)
        assert tracker.is_ready_within(READY_SECONDS), tracker.readiness()
        tracker.change_tasks()
        tracker.ensure_days_are_as_they_were()

        # Set it forward over four midnights that no process saw.
        before = date(2026, 10, 26)
        tracker.set_clock(local(2026, 10, 26) + timedelta(hours=9))
        tracker.change_tasks()
        for missed in range(5):
            tracker.end_day(before + timedelta(days=missed))
        tracker.set_clock(local(2026, 10, 31) + timedelta(hours=9))
        tracker.change_tasks()
        tracker.ensure_days_are_as_they_were()
        assert tracker.is_ready_within(READY_SECONDS), tracker.readiness()

        # Pass a whole winter, and a day of 23 hours.
        winter = (date(2027, 3, 28) - date(2026, 10, 31)).days
        for missed in range(winter):
            tracker.end_day(date(2026, 10, 31) + timedelta(days=missed))
        tracker.set_clock(datetime(2027, 3, 28, 0, 59, 50, tzinfo=UTC))
        tracker.change_tasks()
        tracker.wait_until(datetime(2027, 3, 28, 1, 0, 5, tzinfo=UTC))
        tracker.change_tasks()
        tracker.set_clock(local(2027, 3, 29) - LEAD)
        tracker.change_tasks()
        tracker.pass_midnight(date(2027, 3, 28))

        print(f"\n{len(tracker.expected)} days, each logged once and as it was; {tracker.changes} changes")


class Tracker:
    """All running processes, the clock that they use, and the expected log of each day."""

    def __init__(self, stage, clock_file):
        self._stage = stage
        self._clock_file = clock_file
        self._tasks = {}
        self._closed = {}
        self._offset = timedelta()
        self.expected = {}
        self.changes = 0

    def now(self):
        return datetime.now(UTC) + self._offset

    def set_clock(self, moment):
        """Set the clock and log in again, because tokens use the clock too."""
        self._offset = timedelta(seconds=round((moment - datetime.now(UTC)).total_seconds()))
        write_clock(self._clock_file, self._offset)
        time.sleep(2 * CACHED_SECONDS + 0.5)
        self._stage.headers = {}
        self._stage.log_in()

    def wait_until(self, moment):
        time.sleep(max(0.0, (moment - self.now()).total_seconds()))

    def pass_midnight(self, day):
        assert self.now() < local_end(day), "the machine was too slow"
        self.end_day(day)
        self.wait_until(local_end(day) + timedelta(seconds=1))
        self.change_tasks()
        self.ensure_days_are_as_they_were()

    def change_tasks(self):
        """Create a task, finish one, rename one, delete and restore one."""
        self.changes += 1
        title = f"Task {self.changes}"
        created = self._ask("POST", "/api/v1/tasks", {"title": title})
        self._tasks[created["id"]] = (title, "todo")
        active = [task_id for task_id, (_, status) in self._tasks.items() if status != "done"]
        if len(active) > 5:
            self._change(active[0], status="done")
        self._change(active[-1], title=f"{title} renamed", status="in_progress")
        self._ask("DELETE", f"/api/v1/tasks/{active[-1]}")
        self._ask("POST", f"/api/v1/tasks/{active[-1]}/restore")

    def _change(self, task_id, **changes):
        answer = self._ask("PATCH", f"/api/v1/tasks/{task_id}", changes)
        self._tasks[task_id] = (answer["title"], answer["status"])

    def _ask(self, method, path, body=None):
        status, answer = self._stage.ask(method, path, body)
        assert status in {200, 201, 204}, (method, path, status, answer)
        return answer

    def end_day(self, day):
        self.expected[day] = {
            task_id: (title, status) for task_id, (title, status) in self._tasks.items() if status != "done"
        }

    def ensure_days_are_as_they_were(self):
        days = sorted(self.expected)
        closed = "SELECT log_date FROM log_runs WHERE is_final ORDER BY 1"
        assert wait_for(lambda: [day for (day,) in self._stage.query(closed)] == days, seconds=LOGGED_SECONDS), (
            f"{self._stage.query(closed)[-3:]} are closed, {days[-3:]} should be"
        )
        rows = self._stage.query(
            "SELECT log_date, task_id, title, status FROM task_logs JOIN log_runs USING (log_date) WHERE is_final"
        )
        logged = {day: {} for day in days}
        for day, task_id, title, status in rows:
            logged[day][task_id] = (title, status)
        assert logged == self.expected
        assert len(rows) == sum(map(len, logged.values()))
        fingerprints = dict(
            self._stage.query(
                "SELECT log_date, md5(string_agg(l::text, ',' ORDER BY task_id)) FROM task_logs AS l"
                " JOIN log_runs USING (log_date) WHERE is_final GROUP BY 1"
            )
        )
        assert self._closed.items() <= fingerprints.items()
        self._closed = fingerprints

    def is_beat_seen_again_within(self, seconds):
        """Beat reports every 15 seconds. Wait twice, because others may correct a time in the future to now."""
        sighting = "SELECT seen_at FROM sightings WHERE part = 'beat'"
        for _ in range(2):
            before = self._stage.query(sighting)
            if not wait_for(lambda before=before: self._stage.query(sighting) != before, seconds=seconds):
                return False
        return True

    def is_ready_within(self, seconds):
        return wait_for(lambda: self._stage.ask("GET", "/readyz")[0] == 200, seconds=seconds)

    def readiness(self):
        return self._stage.ask("GET", "/readyz")


def local(year, month, day):
    return datetime(year, month, day, tzinfo=ZONE).astimezone(UTC)


def local_end(day):
    return datetime.combine(day + timedelta(days=1), time_of_day.min, tzinfo=ZONE).astimezone(UTC)


def write_clock(file, offset):
    """Replace the file at once, so that every reader sees the old or the new text completely."""
    draft = file.with_suffix(".new")
    draft.write_text(f"{offset.total_seconds():+.0f}\n")
    draft.chmod(0o644)
    draft.replace(file)


def forget_ended_processes():
    """Remove the two files of shared memory that the library leaves behind for each killed process."""
    for file in Path("/dev/shm").glob("*faketime_*"):  # noqa: S108 - where the library puts them
        if not Path(f"/proc/{file.name.rsplit('_', 1)[1]}").exists():
            file.unlink(missing_ok=True)


@pytest.fixture
def clock_directory():
    """A directory in which the servers' own user finds the clock and the library."""
    directory = Path(tempfile.mkdtemp(prefix="tasktracker-clock-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)
    forget_ended_processes()


@pytest.fixture
def tracker(tmp_path_factory, clock_directory):
    library = Path(find_spec("libfaketime").origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    shutil.copy(library, clock_directory / library.name)
    clock_file = clock_directory / "clock"
    start = local(2026, 10, 24) + timedelta(hours=12)
    write_clock(clock_file, start - datetime.now(UTC))
    with ExitStack() as stack:
        stage = Stage(
            tmp_path_factory.mktemp("stage"),
            stack,
            LD_PRELOAD=str(clock_directory / library.name),
            FAKETIME_TIMESTAMP_FILE=str(clock_file),
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            FAKETIME_CACHE_DURATION=str(CACHED_SECONDS),
            TIME_ZONE=ZONE.key,
        )
        stage.prepare()
        tracker = Tracker(stage, clock_file)
        stage.start_api()
        stage.start_worker()
        beat = subprocess.Popen(
            [
                sys.executable,
                "-c",
                BEAT,
                "beat",
                "--scheduler",
                "celery.beat:Scheduler",
                "--schedule",
                "/dev/null",
                "--pidfile",
                "",
            ],
            cwd=ROOT,
            env={**os.environ, **stage.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        stack.callback(kill_group, beat)
        tracker.set_clock(start)
        yield tracker
