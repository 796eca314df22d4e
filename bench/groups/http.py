"""Group `http`: the whole tracker as `python main.py` runs it, beside the floors on the same HTTP server.

Rate limits are off here: they would refuse the load of one client.
"""

import sys
from collections.abc import Iterator
from functools import partial

from app.http.admission import threads_for
from bench.load import Sent
from bench.machine import ROOT
from bench.over_http import Target, compare_servers, served
from bench.processes import tracker
from bench.rows import Row, at_least
from bench.stage import Stage

PROCESSES = 2
CONNECTIONS = (1, 16, 64)
PING_GOAL = 0.6


def measure_http(stage: Stage) -> None:
    with stage.database() as settings:
        with stage.workload(settings) as work:
            work.add_tasks("SMALL", 10_000)
            work.log_missing_days()
            day = work.last_logged_day()
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--no-log",
                   "--workers", str(PROCESSES), "--blocking-threads", str(threads_for(settings.database_pool_size)),
                   "--port", "PORT", "--factory", "bench.floors:served_floor"]  # fmt: skip
        environment = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
        with (
            tracker(settings, stage.directory / "http", api_processes=PROCESSES) as ours,
            served(command, cwd=ROOT, environment=environment, log=stage.directory / "floors.log") as floor_port,
        ):
            pairs = [
                ("GET /ping", "a view that answers at once", "/ping", "/ping", at_least(PING_GOAL)),
                ("list page of 50, cached", "one Redis GET", "/api/v1/tasks", "/cached", None),
                ("GET /tasks?date=, cached", "one Redis GET", f"/tasks?date={day}", "/cached", None),
            ]
            for what, against, our_path, floor_path, goal in pairs:
                our_target = Target(ours.port, [Sent("GET", our_path)], ours.headers)
                floor_target = Target(floor_port, [Sent("GET", floor_path)])
                compare = partial(compare_servers, what, against, our_target, floor_target, goal=goal)
                stage.report.measure(what, partial(_for_each_number, stage, compare))


def _for_each_number(stage: Stage, compare: "partial[Row]") -> Iterator[Row]:
    for connections in CONNECTIONS:
        yield compare(connections=connections, seconds=stage.sizes.http_seconds, rounds=stage.sizes.http_rounds)
