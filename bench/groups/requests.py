"""Group `requests`: one request at a time as a call of the WSGI app, beside a bare Flask view that does the same.

The HTTP server costs both sides the same and would only make the ratio look better, so it is left out.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from flask import Flask

from app.composition.resources import Resources
from app.factory import create_app
from app.settings import Settings
from bench.floors import floor_app
from bench.round_trips import Counted, counting
from bench.rows import Row, at_least, limit_row
from bench.stage import Stage
from bench.turns import Timing, take_turns
from bench.workload import PASSWORD, Request, Workload
from tests.fakes import FakeJobQueue

SMALL = 10_000
COMMENTS = 60
REQUEST_NAMES = (
    *("list", "board", "task", "create", "change", "move", "bulk", "comments", "comment", "classic", "login", "ping"),
)
BULK_ITEMS = 500
# A log-in may take this much longer than its Argon2.
LOG_IN_MS = 3.0
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pair:
    """Our request and the floor's. Pairs with the same name are measured together."""

    name: str
    what: str
    against: str
    ours: Request
    floor: Request
    goal: float | None = None


def measure_requests(stage: Stage, only: str | None = None) -> None:
    with stage.database() as settings, stage.workload(settings) as work, counting(settings) as counted:
        work.add_tasks("SMALL", SMALL)
        work.add_comments(work.any_task_id(), COMMENTS)
        work.log_missing_days()
        floor = floor_app(settings.database_url, settings.redis_url, password_hash=work.password_hash)
        with _app(settings) as app, _app(counted.settings) as counted_app:
            counted_floor = floor_app(
                counted.settings.database_url, counted.settings.redis_url, password_hash=work.password_hash
            )
            for pair in pairs_of(work):
                if only in {None, pair.name}:
                    measure = partial(
                        _measure, work, pair, (app, floor), (counted_app, counted_floor), counted, stage.sizes.seconds
                    )
                    stage.report.measure(pair.what, measure)


def pairs_of(work: Workload) -> list[Pair]:
    task_id = work.any_task_id()
    counter = itertools.count()

    def another_since() -> str:
        """Another value for the filter each time, so that the page is not in the cache."""
        return (LONG_AGO + timedelta(seconds=next(counter))).strftime("%Y-%m-%dT%H:%M:%SZ")

    def another_title() -> dict[str, str]:
        return {"title": f"Title {next(counter)}"}

    def another_neighbour() -> dict[str, int]:
        """Another task of the column each time, so that the task really moves."""
        return {"after": task_id + 2 + next(counter) * 7 % 1000}

    def many_titles() -> dict[str, list[dict[str, object]]]:
        title = another_title()
        return {"items": [{"task": task_id + n, "patch": title} for n in range(BULK_ITEMS)]}

    title, comment = {"title": "Measured"}, {"body": "Measured, as **usual**."}
    log_in = {"username": "admin", "password": PASSWORD}
    cached = Request("GET", "/cached")
    return [
        Pair("list", "list page of 50, cached", "one Redis GET", Request("GET", "/api/v1/tasks"), cached, 0.5),
        Pair("list", "list page of 50, not in the cache", "psycopg2, orjson",
             Request("GET", lambda: f"/api/v1/tasks?updated_since={another_since()}"),
             Request("GET", lambda: f"/list?updated_since={another_since()}"), 0.6),
        Pair("board", "board of 10,000 tasks, not in the cache", "psycopg2, orjson",
             Request("GET", lambda: f"/api/v1/board?project=SMALL&updated_since={another_since()}"),
             Request("GET", lambda: f"/board?updated_since={another_since()}"), 0.5),
        Pair("task", "one task by id", "psycopg2, orjson",
             Request("GET", f"/api/v1/tasks/{task_id}"), Request("GET", f"/tasks/{task_id}"), 0.5),
        Pair("create", "create one task", "UPDATE, INSERT, COMMIT",
             Request("POST", "/api/v1/tasks", title), Request("POST", "/tasks", title), 0.5),
        Pair("change", "change a title", "SELECT FOR UPDATE, UPDATE, COMMIT",
             Request("PATCH", f"/api/v1/tasks/{task_id}", another_title),
             Request("PATCH", f"/tasks/{task_id + 1}", another_title), 0.5),
        Pair("comments", "page of 50 comments", "psycopg2, orjson",
             Request("GET", f"/api/v1/tasks/{task_id}/comments"), Request("GET", f"/tasks/{task_id}/comments"), 0.5),
        Pair("comment", "write a comment", "INSERT, COMMIT",
             Request("POST", f"/api/v1/tasks/{task_id + 1}/comments", comment),
             Request("POST", f"/tasks/{task_id + 2}/comments", comment)),
        Pair("move", "move one task on the board", "lock, SELECT, SELECT FOR UPDATE, UPDATE, COMMIT",
             Request("POST", f"/api/v1/tasks/{task_id}/move", another_neighbour),
             Request("POST", f"/tasks/{task_id + 1}/move", another_neighbour), 0.5),
        Pair("bulk", f"change {BULK_ITEMS} titles at once", "SELECT FOR UPDATE, UPDATE, COMMIT",
             Request("POST", "/api/v1/tasks/bulk", many_titles), Request("POST", "/tasks/bulk", many_titles), 0.5),
        Pair("classic", "GET /tasks?date=, cached", "one Redis GET",
             Request("GET", f"/tasks?date={work.last_logged_day()}"), cached, 0.5),
        Pair("login", "log-in without its Argon2", "",
             Request("POST", "/api/v1/auth/login", log_in), Request("POST", "/login", log_in)),
        Pair("ping", "GET /ping", "a view that answers at once",
             Request("GET", "/ping"), Request("GET", "/ping")),
    ]  # fmt: skip


def _measure(
    work: Workload,
    pair: Pair,
    apps: tuple[Flask, Flask],
    counted_apps: tuple[Flask, Flask],
    counted: Counted,
    seconds: float,
) -> Row:
    requests = (pair.ours, pair.floor)
    ours, floor = take_turns([work.caller(app, r) for app, r in zip(apps, requests, strict=True)], seconds)
    trips = [counted.count(work.caller(app, r)) for app, r in zip(counted_apps, requests, strict=True)]
    details: dict[str, tuple[float, float] | float] = {
        "p99 ms": (ours.p99, floor.p99),
        "cpu ms": (ours.cpu, floor.cpu),
        "postgres": (trips[0].postgres, trips[1].postgres),
        "redis": (trips[0].redis, trips[1].redis),
    }
    if pair.name == "login":
        return _log_in_row(pair, ours, floor, details)
    goal = None if pair.goal is None else at_least(pair.goal)
    return Row(pair.what, pair.against, ours.p50, floor.p50, "ms", floor.p50 / ours.p50, goal, details)


def _log_in_row(pair: Pair, ours: Timing, floor: Timing, details: dict[str, tuple[float, float] | float]) -> Row:
    row = limit_row(pair.what, ours.p50 - floor.p50, LOG_IN_MS, "ms")
    return replace(row, details={"p50 ms": (ours.p50, floor.p50), **details})


@contextmanager
def _app(settings: Settings) -> Iterator[Flask]:
    resources = Resources(settings, job_queue=FakeJobQueue())
    try:
        yield create_app(settings, resources=resources)
    finally:
        resources.engine.dispose()
