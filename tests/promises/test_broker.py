"""Restarts of the broker under a running worker: no job is lost or done twice, and all go on soon."""

import time
from itertools import count

import pytest
from redis import Redis

from app.csv_files.blocks import BLOCK_ROWS
from tests.servers import wait_for

RESTARTS = 20
GAPS_SECONDS = (0.1, 2.0, 10.0)
FLAPS = 3
FLAP_GAP_SECONDS = 0.1
# The worker goes on within this time; one that stopped listening would never go on.
GO_ON_SECONDS = 30.0
START_AGAIN_SECONDS = 90.0
# This many rows, so that the api leaves them to a worker.
ROWS = BLOCK_ROWS + 1

pytestmark = pytest.mark.deep


class TestRestartedBroker:
    def test_the_same_worker_and_beat_reconnect_and_every_job_is_done_once(self, stage):
        stage.start_api()
        worker, beat = stage.start_worker(), stage.start("beat")
        jobs, slowest = Jobs(stage), 0.0

        for number in range(RESTARTS):
            jobs.post()
            # The broker restarts with its file, or with everything that it knew at the end.
            (stage.valkey.kill if number % 2 else stage.valkey.stop)()
            jobs.post()
            time.sleep(GAPS_SECONDS[number % len(GAPS_SECONDS)])
            slowest = max(slowest, jobs.seconds_until_done_from(stage.valkey))

        print(f"\n{jobs.posted} imports, {RESTARTS} restarts; all done at most {slowest:.1f} s after each")
        assert (worker.poll(), beat.poll()) == (None, None)
        jobs.ensure_done_once()

    def test_the_same_worker_and_beat_reconnect_after_several_short_restarts(self, stage):
        stage.start_api()
        worker, beat = stage.start_worker(), stage.start("beat")
        jobs, slowest = Jobs(stage), 0.0

        for _ in range(3):
            jobs.post()
            for _ in range(FLAPS - 1):
                stage.valkey.kill()
                time.sleep(FLAP_GAP_SECONDS)
                stage.valkey.start()
                time.sleep(FLAP_GAP_SECONDS)
            stage.valkey.kill()
            jobs.post()
            slowest = max(slowest, jobs.seconds_until_done_from(stage.valkey))

        print(f"\n{jobs.posted} imports; all done at most {slowest:.1f} s after three flaps")
        assert (worker.poll(), beat.poll()) == (None, None)
        jobs.ensure_done_once()


class TestFullBroker:
    def test_refuses_new_messages_and_costs_the_api_only_speed(self, stage):
        """A worker that cannot note a job that it took ends, and the supervisor restarts it."""
        stage.start_tracker()
        jobs = Jobs(stage)
        with Redis.from_url(stage.environment["REDIS_URL"]) as valkey:
            valkey.config_set("maxmemory", 1)
            jobs.post()
            statuses = [stage.ask("POST", "/api/v1/tasks", {"title": f"Beside it {n}"})[0] for n in range(20)]
            listed = [stage.ask("GET", "/api/v1/tasks")[0] for _ in range(20)]
            valkey.config_set("maxmemory", 0)

        assert (statuses, listed) == ([201] * 20, [200] * 20)
        assert wait_for(jobs.are_done, seconds=START_AGAIN_SECONDS), stage.output("run")
        jobs.ensure_done_once(besides=len(statuses))


class Jobs:
    """Imports for a worker."""

    def __init__(self, stage):
        self._stage = stage
        self._numbers = count()
        self.posted = 0

    def post(self):
        number = next(self._numbers)
        self._stage.upload([f"Import {number} row {row}" for row in range(ROWS)])
        self.posted += 1

    def seconds_until_done_from(self, broker):
        """Restart the broker and post one more job; return the seconds until all jobs are done."""
        broker.start()
        began_at = time.monotonic()
        self.post()
        assert wait_for(self.are_done, seconds=GO_ON_SECONDS), self._stage.query(
            "SELECT id, state, next_block, claimed_until FROM imports WHERE finished_at IS NULL"
        )
        return time.monotonic() - began_at

    def are_done(self):
        return self._stage.query("SELECT count(*) FROM imports WHERE finished_at IS NULL") == [(0,)]

    def ensure_done_once(self, *, besides=0):
        """`besides` counts the tasks that came from elsewhere."""
        ask = self._stage.query
        assert ask("SELECT state, count(*), min(created_count), max(created_count) FROM imports GROUP BY 1") == [
            ("finished", self.posted, ROWS, ROWS)
        ]
        rows = self.posted * ROWS + besides
        assert ask("SELECT count(*), count(DISTINCT title) FROM tasks") == [(rows, rows)]
