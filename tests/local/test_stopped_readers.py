"""A tracker whose output nobody reads any more: suspended by Ctrl-Z, piped into a pager, or logged to a full disk."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.local.tracker import Tracker
from tests.servers import wait_for

pytestmark = pytest.mark.deep

# Far more lines than a pipe and the queues before it hold.
REQUESTS = 6_000


class TestOutput:
    def test_an_unread_pipe_stops_nothing(self, tracker):
        read_end, write_end = os.pipe()
        run = tracker.start(stdout=write_end, RATE_LIMIT_ENABLED="false")
        os.close(write_end)
        assert wait_for(tracker.answers, seconds=60)

        assert answers_of_many(tracker) == {200}

        kill_worker(tracker)
        assert tracker.answers()
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(timeout=30) == 0
        os.close(read_end)
        assert tracker.processes() == []

    def test_a_suspended_supervisor_stops_nothing(self, tracker):
        run = tracker.start(RATE_LIMIT_ENABLED="false")
        run.wait_until_ready()
        run.process.send_signal(signal.SIGSTOP)

        assert answers_of_many(tracker) == {200}

        run.process.send_signal(signal.SIGCONT)
        assert wait_for(lambda: "lines were dropped" in run.output(), seconds=30)
        assert tracker.answers()

    @pytest.mark.parametrize("reader", ["gone", "on a full disk"])
    def test_the_death_of_a_process_does_not_end_a_tracker_without_a_reader(self, tracker, reader):
        read_end, write_end = os.pipe()
        os.close(read_end)
        where = write_end if reader == "gone" else os.open("/dev/full", os.O_WRONLY)
        run = tracker.start(stdout=where)
        assert wait_for(tracker.answers, seconds=60)

        kill_worker(tracker)

        assert tracker.answers()
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(timeout=30) == 0


def answers_of_many(tracker):
    token = tracker.log_in()

    def ask(_number):
        try:
            tracker.call("GET", "/activetasks", None, token)
        except OSError as error:
            return str(error)
        return 200

    with ThreadPoolExecutor(4) as threads:
        return set(threads.map(ask, range(REQUESTS)))


def kill_worker(tracker):
    """Kill a worker and wait for the next one."""
    workers = worker_pids(tracker)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: worker_pids(tracker) - workers, seconds=30)


def worker_pids(tracker):
    return {pid for pid, command in tracker.processes() if "celery_worker worker" in command}


@pytest.fixture
def tracker(tmp_path):
    tracker = Tracker(tmp_path)
    yield tracker
    for run in tracker.runs:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGCONT)
    tracker.stop()
