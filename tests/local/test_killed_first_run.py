"""A first run that is killed at any moment, while it creates the database, its tables or the first admin."""

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress

import pytest

from tests.local.tracker import Tracker
from tests.servers import wait_for

pytestmark = pytest.mark.deep

MOMENTS = 31
READY_SECONDS = 120


class TestKilledFirstRun:
    def test_becomes_ready_and_lets_the_admin_log_in(self, tmp_path):
        seconds = time_of_a_first_run(tmp_path / "whole")
        failures = []

        for moment in range(MOMENTS):
            tracker = tracker_in(tmp_path / str(moment))
            first = tracker.start(ADMIN_PASSWORD="")
            # The test is about a moment in time, at which no event happens to wait for.
            with suppress(subprocess.TimeoutExpired):
                first.process.wait(timeout=seconds * (moment + 1) / (MOMENTS + 1))
            kill(tracker, first, with_servers=moment % 2 == 0)

            why = why_not_usable(tracker, first)
            if why is not None:
                failures.append((moment, why))
            shutil.rmtree(tmp_path / str(moment))

        assert failures == []


def time_of_a_first_run(directory):
    tracker = tracker_in(directory)
    started_at = time.monotonic()
    run = tracker.start(ADMIN_PASSWORD="")
    assert wait_for(lambda: is_ready(run), seconds=READY_SECONDS), run.output()
    seconds = time.monotonic() - started_at
    tracker.stop()
    return seconds


def kill(tracker, run, *, with_servers):
    """Kill only the process that was started, as `kill -9` does, or its servers too, as a loss of power does."""
    run.process.kill()
    run.process.wait()
    # Kill twice, to catch processes that were just starting.
    for _ in range(2 if with_servers else 0):
        for pid, _command in tracker.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def why_not_usable(tracker, first):
    """Return None if the tracker is usable."""
    second = tracker.start(ADMIN_PASSWORD="")
    try:
        if not wait_for(lambda: is_ready(second) or second.process.poll() is not None, seconds=READY_SECONDS):
            return f"not ready: {second.output()[-600:]}"
        if second.process.poll() is not None:
            return f"ended: {second.output()[-600:]}"
        shown = first.output() + second.output()
        password = re.search(r"Log in +admin / (\S+)", shown)
        if password is None:
            return f"no password was shown: {shown[-600:]}"
        tracker.log_in(password[1])
    except OSError as error:
        return repr(error)
    finally:
        tracker.stop()
    left = tracker.processes()
    return f"processes are left: {left}" if left else None


def is_ready(run):
    return "Stop     Ctrl-C" in run.output()


def tracker_in(directory):
    directory.mkdir()
    return Tracker(directory)
