"""Acknowledged writes are kept, whichever process is killed, restarted or frozen while clients write."""

import os
import random
import signal
import time

import pytest

from tests.promises.journal import writing
from tests.promises.stage import children_of, pid_of
from tests.servers import wait_for

API_KILLS = 20
POSTGRES_KILLS = 6
POSTGRES_RESTARTS = 4
FREEZES_SECONDS = (5.0, 10.0)
# The promise is three seconds; a busy machine adds to it. A request that hangs would wait for the end of the freeze,
# or for its client to give up.
SOON_SECONDS = 9.0
# All writers are back this soon after the server accepts connections again.
BACK_SECONDS = 20.0

pytestmark = pytest.mark.deep


class TestKilledApiProcesses:
    def test_lose_and_double_no_acknowledged_write(self, stage):
        tracker = stage.start_tracker()
        moments = random.Random(1)  # noqa: S311 - when to kill is no secret

        with writing(stage) as journal:
            for _ in range(API_KILLS):
                # The death of a process that does not serve yet would show nothing.
                assert wait_for(lambda: stage.count_listening() > 0, seconds=60)
                time.sleep(moments.uniform(0.5, 2.0))
                os.kill(moments.choice(wait_for_processes(tracker)), signal.SIGKILL)
            assert wait_for(lambda: stage.count_listening() == 2, seconds=60)
            assert journal.goes_on()

        assert journal.problems == []
        journal.ensure_kept(stage)


class TestKilledPostgres:
    def test_loses_nothing_and_clients_get_503_until_it_is_back(self, stage):
        stage.start_api()
        moments = random.Random(2)  # noqa: S311 - when to kill is no secret
        back = []

        with writing(stage) as journal:
            for number in range(POSTGRES_KILLS + POSTGRES_RESTARTS):
                time.sleep(moments.uniform(0.5, 2.0))
                end = stage.postgres.kill if number < POSTGRES_KILLS else stage.postgres.stop
                end()
                time.sleep(moments.uniform(0.0, 4.0))
                stage.postgres.start()
                began_at = time.monotonic()
                assert journal.goes_on(), journal.problems
                back.append(time.monotonic() - began_at)

        print(f"\nall writers back after at most {max(back):.2f} s")
        assert journal.problems == []
        assert journal.slowest_seconds < SOON_SECONDS
        assert max(back) < BACK_SECONDS
        journal.ensure_kept(stage)


class TestFrozenPostgres:
    def test_keeps_nobody_waiting_and_loses_nothing(self, stage):
        stage.start_api()
        back = []

        with writing(stage) as journal:
            for seconds in FREEZES_SECONDS:
                with stage.postgres.frozen():
                    time.sleep(seconds / 2)
                    began_at = time.monotonic()
                    status, _ = stage.ask("GET", "/healthz")
                    assert status == 200
                    assert time.monotonic() - began_at < SOON_SECONDS / 2
                    time.sleep(seconds / 2)
                began_at = time.monotonic()
                assert journal.goes_on(), journal.problems
                back.append(time.monotonic() - began_at)

        print(f"\nall writers back after at most {max(back):.2f} s")
        assert journal.problems == []
        assert journal.slowest_seconds < SOON_SECONDS
        assert max(back) < BACK_SECONDS
        journal.ensure_kept(stage)


def wait_for_processes(tracker):
    """Wait for the serving processes of the api; there may be none for a moment, after two early deaths."""
    assert wait_for(lambda: children_of(pid_of(tracker, "api")), seconds=60)
    return children_of(pid_of(tracker, "api"))
