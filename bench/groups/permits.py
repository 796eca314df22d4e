"""Group `permits`: how many requests should a process run at once? Each has a thread and a connection of the pool.

A number above that of the default settings is compared with it: more threads wait longer for Python's global lock, and
fewer leave the processor idle while they wait for PostgreSQL. Slow clients hold threads of their own, without a permit.
"""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from app.http.admission import CONNECTIONS_WITHOUT_PERMIT
from bench.groups.requests import LONG_AGO
from bench.load import Sent
from bench.over_http import Target, compare_servers
from bench.processes import tracker
from bench.stage import Stage

PROCESSES = 2
CONNECTIONS = 64
PAGES = 100_000


def measure_permits(stage: Stage) -> None:
    with stage.database() as settings:
        with stage.workload(settings) as work:
            work.add_tasks("SMALL", 10_000)
        usual = settings.database_pool_size - CONNECTIONS_WITHOUT_PERMIT
        with tracker(settings, stage.directory / "usual", api_processes=PROCESSES) as theirs:
            for permits in stage.sizes.permits:
                changed = replace(settings, database_pool_size=permits + CONNECTIONS_WITHOUT_PERMIT)
                with tracker(changed, stage.directory / f"permits-{permits}", api_processes=PROCESSES) as ours:
                    for what, requests, is_each_sent_once in _requests():
                        targets = [
                            Target(each.port, requests, each.headers, is_each_sent_once=is_each_sent_once)
                            for each in (ours, theirs)
                        ]
                        compare = partial(
                            compare_servers, f"{what}, {permits} permits", f"{usual} permits", *targets,
                            connections=CONNECTIONS, seconds=stage.sizes.http_seconds,
                            rounds=stage.sizes.http_rounds, goal=None,
                        )  # fmt: skip
                        stage.report.measure(what, compare)


def _requests() -> list[tuple[str, list[Sent], bool]]:
    times = (LONG_AGO + timedelta(seconds=number) for number in range(PAGES))
    pages = [Sent("GET", f"/api/v1/tasks?updated_since={time:%Y-%m-%dT%H:%M:%SZ}") for time in times]
    return [
        ("list page, cached", [Sent("GET", "/api/v1/tasks")], False),
        ("list page, not cached", pages, True),
        ("create", [Sent("POST", "/api/v1/tasks", '{"title": "Measured"}')], False),
    ]
