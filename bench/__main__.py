"""`make bench`: how fast is the tracker, compared in one run with the simplest code that does the same?

Requests are timed as calls of the WSGI app: the HTTP server costs both sides the same and would make the ratio look
better. Imports are timed as uploads to the tracker's own processes. These variables set the sizes: BENCH_ROWS
(1,000,000) rows of the large file, BENCH_TASKS (1,000,000) tasks for the daily log and the lists, BENCH_SECONDS (3) for
each pair of requests, BENCH_RATE (200) requests a second in the open loop.
"""

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app.composition.resources import Resources
from app.database.engine import JOB_TIMEOUTS
from app.factory import create_app
from app.settings import CsvLimits, Settings
from bench.bare import bare_app, bare_copy, bare_log
from bench.processes import tracker, write_rows
from bench.workload import Workload
from tests import servers
from tests.fakes import FakeJobQueue
from tests.settings import make_settings

TASKS = int(os.environ.get("BENCH_TASKS", "1000000"))
ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
RATE = int(os.environ.get("BENCH_RATE", "200"))
OPEN_LOOP_SECONDS = 20.0
SMALL_ROWS = 1_000
OLD_VERSIONS = 4
MISSING_DAYS = 30
BATCH = 20

Call = Callable[[], None]


@dataclass(frozen=True)
class Result:
    what: str
    against: str
    ours: str
    bare: str
    ratio: float
    goal: str
    is_met: bool


def main() -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis_url = stack.enter_context(servers.valkey(directory / "valkey"))
        database = stack.enter_context(servers.postgres(directory / "postgres"))
        database_url = stack.enter_context(servers.migrated_database(database))
        settings = _settings(database_url, redis_url)
        work = stack.enter_context(_workload(settings))
        results = [
            *_imports(database, settings, directory),
            *_overload(database, settings, directory),
            *_history(database, settings),
            *_requests(work, settings),
            *_bulk(work, settings),
        ]
    _print(results)


def _imports(server_url: str, settings: Settings, directory: Path) -> list[Result]:
    """Measure imports in one database, and a bare COPY before and after them, each in a new database."""
    large, small = write_rows(directory / "large.csv", ROWS), write_rows(directory / "small.csv", SMALL_ROWS)
    copy_seconds = [_copy_seconds(server_url, settings)]
    with (
        servers.migrated_database(server_url) as url,
        tracker(replace(settings, database_url=url), directory / "data") as ours,
    ):
        # The first import warms up every process.
        ours.import_rows(small)
        answered = ours.import_rows(small)
        imported = ours.import_rows(large)
    copy_seconds.append(_copy_seconds(server_url, settings))
    return [
        _rows("CSV import, upload to last task,", "COPY into the same table", ROWS, imported.seconds,
              statistics.mean(copy_seconds), 0.5),
        _at_most(f"1 import of {SMALL_ROWS:,} rows", "0.5 s", answered.seconds, 0.5, "s"),
        _at_most("its api grows by", "64 MB", imported.api_growth / 2**20, 64, "MB"),
        _at_most("its worker grows by", "128 MB", imported.worker_growth / 2**20, 128, "MB"),
    ]  # fmt: skip


def _overload(server_url: str, settings: Settings, directory: Path) -> list[Result]:
    """Send more requests than two cores can answer beside the load generator. Even then, each answer must be quick."""
    with (
        servers.migrated_database(server_url) as url,
        tracker(replace(settings, database_url=url), directory / "overload", api_processes=2) as ours,
    ):
        tally = ours.open_loop(rate=RATE, seconds=OPEN_LOOP_SECONDS)
    assert not tally.failures, tally.failures[:5]
    what = f"open loop of {RATE}/s for {OPEN_LOOP_SECONDS:g} s"
    return [
        _at_most(f"{what}: {len(tally.accepted):,} accepted, p99", "0.5 s", tally.p99_of_accepted(), 0.5, "s"),
        _at_most(f"{what}: {len(tally.refused):,} refused, p99", "0.5 s", tally.p99_of_refused(), 0.5, "s"),
    ]


def _copy_seconds(server_url: str, settings: Settings) -> float:
    with servers.migrated_database(server_url) as url:
        return bare_copy(replace(settings, database_url=url), ROWS)


def _at_most(what: str, against: str, ours: float, limit: float, unit: str) -> Result:
    return Result(what, against, f"{ours:.2f} {unit}", f"{limit} {unit}", ours / limit, "≤ 1", ours <= limit)


def _requests(work: Workload, settings: Settings) -> list[Result]:
    work.add_tasks("SMALL", 10_000)
    bare = bare_app(settings)
    uncached = create_app(settings, resources=_without_cache(settings))
    task_id = work.any_task_id()
    by_id = f"/api/v1/tasks/{task_id}"
    pairs = [
        ("list page of 50, cached", "a Flask view of one Redis GET", work.get(work.app, "/api/v1/tasks"),
         work.get(bare, "/cached"), 0.5),
        ("list page of 50, Redis away", "a Flask view, psycopg2, orjson", work.get(uncached, "/api/v1/tasks"),
         work.get(bare, "/list"), 0.6),
        ("one task by id", "the same, raw", work.get(work.app, by_id), work.get(bare, f"/tasks/{task_id}"), 0.5),
        ("create one task", "the same, raw", work.post(work.app, "/api/v1/tasks", {"title": "Measured"}),
         work.post(bare, "/tasks", {"title": "Measured"}), 0.5),
    ]  # fmt: skip
    return [_compare(what, against, ours, theirs, goal) for what, against, ours, theirs, goal in pairs]


def _compare(what: str, against: str, ours: Call, bare: Call, goal: float) -> Result:
    """Run both in turns, batch by batch, so a slow machine slows down both. The result is the ratio of the medians."""
    for warm_up in (ours, bare):
        for _ in range(BATCH):
            warm_up()
    times: tuple[list[float], list[float]] = ([], [])
    deadline = time.perf_counter() + SECONDS
    while time.perf_counter() < deadline:
        for call, taken in zip((ours, bare), times, strict=True):
            started = time.perf_counter()
            for _ in range(BATCH):
                call()
            taken.append((time.perf_counter() - started) / BATCH)
    our_time, bare_time = (statistics.median(taken) for taken in times)
    ratio = bare_time / our_time
    return Result(what, against, f"{1 / our_time:,.0f}/s", f"{1 / bare_time:,.0f}/s", ratio, f"≥ {goal}", ratio >= goal)


def _bulk(work: Workload, settings: Settings) -> list[Result]:
    work.add_tasks("GEN", TASKS)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    days, log_seconds = work.log_missing_days()
    assert days == 1, days
    insert_seconds = bare_log(settings)
    small, large = work.time_of_list(project="SMALL"), work.time_of_list()
    work.add_versions(OLD_VERSIONS)
    then = work.time_of_list(as_of=True)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    return [
        _rows("daily log", "one bare INSERT … SELECT", work.count_active(), log_seconds, insert_seconds, 0.7),
        _times(f"list page at {work.count_active():,} tasks", "at 10,000 tasks", large, small, 1.2),
        _times(f"the same as of a month ago, {1 + OLD_VERSIONS} versions each", "now", then, large, 3),
        _at_most("memory of all that", "64 MB", grown, 64, "MB"),
    ]


def _history(server_url: str, settings: Settings) -> list[Result]:
    """Measure the cost of the history's triggers and then, in another database, the time for logging missed days."""
    with servers.migrated_database(server_url) as url, _workload(replace(settings, database_url=url)) as work:
        work.add_tasks("GEN", 100_000)
        change_seconds = work.time_of_history()
        imported_with = imported_without = 0.0
        for _ in range(2):
            imported_with += work.import_rows(100_000)
            with work.without_history():
                imported_without += work.import_rows(100_000)
    with servers.migrated_database(server_url) as url, _workload(replace(settings, database_url=url)) as work:
        work.add_tasks("GEN", 100_000, days_ago=MISSING_DAYS)
        days, seconds = work.log_missing_days()
        assert days == MISSING_DAYS, days
    return [
        _at_most("history of one change", "0.25 ms", change_seconds * 1000, 0.25, "ms"),
        _times("2 imports of 100,000 with history", "without", imported_with, imported_without, 1.25),
        _at_most(f"{MISSING_DAYS} missing days of 100,000 tasks", "60 s", seconds, 60, "s"),
    ]


@contextmanager
def _workload(settings: Settings) -> Iterator[Workload]:
    resources = Resources(settings, job_queue=FakeJobQueue(), timeouts=JOB_TIMEOUTS)
    try:
        yield Workload(create_app(settings, resources=resources), resources)
    finally:
        resources.engine.dispose()


def _times(what: str, against: str, ours: float, theirs: float, limit: float) -> Result:
    ratio = ours / theirs
    return Result(
        what, against, f"{ours * 1000:.2f} ms", f"{theirs * 1000:.2f} ms", ratio, f"≤ {limit}", ratio <= limit
    )


def _rows(what: str, against: str, count: int, ours: float, bare: float, goal: float) -> Result:
    ratio = bare / ours
    rates = f"{count / ours:,.0f} rows/s", f"{count / bare:,.0f} rows/s"
    return Result(f"{what} of {count:,}", against, *rates, ratio, f"≥ {goal}", ratio >= goal)


def _without_cache(settings: Settings) -> Resources:
    return Resources(replace(settings, redis_url="redis://127.0.0.1:1/0"), job_queue=FakeJobQueue())


def _settings(database_url: str, redis_url: str) -> Settings:
    return make_settings(
        database_url,
        redis_url,
        access_token_minutes=600,
        classic_token_minutes=600,
        max_upload_bytes=1024**3,
        log_level="ERROR",
        csv_limits=CsvLimits(rows=1_000_000, columns=50, cell_characters=100_000),
    )


def _print(results: list[Result]) -> None:
    columns = [
        (r.what, r.against, r.ours, r.bare, f"{r.ratio:.2f}", r.goal, "" if r.is_met else "missed") for r in results
    ]
    heading = ("what", "against", "ours", "bare", "ratio", "goal", "")
    widths = [max(len(row[index]) for row in (heading, *columns)) for index in range(len(heading))]
    for row in (heading, *columns):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
