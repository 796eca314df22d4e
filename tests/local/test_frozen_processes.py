"""A process that is stopped while the tracker runs: the supervisor notices and replaces it, like a dead one."""

import os
import signal

import pytest

from tests.local.tracker import Tracker
from tests.servers import wait_for

pytestmark = pytest.mark.deep


class TestFrozenProcess:
    def test_one_process_of_the_api_is_replaced_and_requests_are_answered_again(self, tracker):
        run = tracker.start(API_PROCESSES="2", RATE_LIMIT_ENABLED="false")
        run.wait_until_ready()
        main, *workers = tracker.pids_of(run, COMMANDS["api"])
        assert len(workers) == 2
        frozen = workers[0]

        os.kill(frozen, signal.SIGSTOP)

        assert wait_for(lambda: frozen not in tracker.pids_of(run, COMMANDS["api"]), seconds=40)
        assert wait_for(lambda: len(tracker.pids_of(run, COMMANDS["api"])) == 3, seconds=60)
        assert tracker.pids_of(run, COMMANDS["api"])[0] == main
        assert wait_for(lambda: all(tracker.answers() for _ in range(20)), seconds=60)

    @pytest.mark.parametrize("process_name", ["api", "worker", "beat"])
    def test_the_first_process_is_replaced(self, tracker, process_name):
        run = tracker.start()
        run.wait_until_ready()
        pids = tracker.pids_of(run, COMMANDS[process_name])

        os.kill(pids[0], signal.SIGSTOP)

        assert wait_for(
            lambda: f"{process_name:<8} | has been stopped for 15 s and is killed" in run.output(), seconds=40
        )
        assert wait_for(
            lambda: any(COMMANDS[process_name] in command and pid not in pids for pid, command in tracker.processes()),
            seconds=60,
        )
        assert wait_for(tracker.answers, seconds=60)


COMMANDS = {"api": "main.py api", "worker": "celery_worker worker", "beat": "celery_worker beat"}


@pytest.fixture
def tracker(tmp_path):
    tracker = Tracker(tmp_path)
    yield tracker
    tracker.stop()
