"""A first run that is killed at any moment, while it makes the database, its tables or the first admin."""

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress

import pytest

from tests.local.test_command import Tracker
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
            # The moment is what is tested: nothing that could be waited for happens then.
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
    began = time.monotonic()
    run = tracker.start(ADMIN_PASSWORD="")
    assert wait_for(lambda: is_ready(run), seconds=READY_SECONDS), run.output()
    seconds = time.monotonic() - began
    tracker.stop()
    return seconds


def kill(tracker, run, *, with_servers):
    """As `kill -9` of what was started does, which leaves its servers; or as a machine does that loses its power."""
    run.process.kill()
    run.process.wait()
    # Twice, for what was just being started.
    for _ in range(2 if with_servers else 0):
        for pid, _command in tracker.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def why_not_usable(tracker, first):
    """None when it is."""
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
