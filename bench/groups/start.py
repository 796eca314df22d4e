"""Group `start`: how long the tracker takes to import, to start and to stop, and how much memory its processes hold."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

from app.settings import Settings
from bench.load import Plan, Sent, generate
from bench.machine import ROOT
from bench.processes import Tracker, tracker
from bench.rows import Row, figure_row
from bench.stage import Stage

IMPORT = "import time; began = time.perf_counter(); import app.factory; print(time.perf_counter() - began)"
REQUESTS = 1_000
CONNECTIONS = 4
ROLES = ("api", "worker", "beat")


def measure_start(stage: Stage) -> None:
    stage.report.measure("import of app.factory", lambda: _import(stage.sizes.starts))
    with stage.database() as settings:
        stage.report.measure("a run of the tracker", partial(_run, stage, settings))


def _import(starts: int) -> Row:
    """The first import, which may have to compile files, does not count."""
    seconds = []
    for _ in range(starts + 1):
        done = subprocess.run([sys.executable, "-c", IMPORT], cwd=ROOT, capture_output=True, text=True, check=True)
        seconds.append(float(done.stdout))
    return figure_row(f"import of app.factory, median of {starts}", statistics.median(seconds[1:]) * 1000, "ms")


def _run(stage: Stage, settings: Settings) -> Iterator[Row]:
    with tracker(settings, stage.directory / "start") as ours:
        yield figure_row("from `python main.py` to ready", ours.seconds_to_ready, "s")
        before = _memory(ours)
        _send(ours)
        after = _memory(ours)
        stopping_at = time.perf_counter()
        ours.stop()
        stop_seconds = time.perf_counter() - stopping_at
    for role in ROLES:
        yield figure_row(
            f"memory of {role} after {REQUESTS:,} requests", after[role], "MB", **{"at first": before[role]}
        )
    yield figure_row("from SIGTERM to gone", stop_seconds, "s", DRAIN_SECONDS=settings.drain_seconds)


def _memory(ours: Tracker) -> dict[str, float]:
    return {role: ours.resident(role) / 2**20 for role in ROLES}


def _send(ours: Tracker) -> None:
    """Send a mix of reads and writes until a thousand requests were answered."""
    requests = [
        Sent("GET", "/api/v1/tasks"),
        Sent("GET", "/ping"),
        Sent("GET", "/api/v1/tasks?limit=20"),
        Sent("POST", "/api/v1/tasks", '{"title": "Measured"}'),
    ]
    sent = 0
    while sent < REQUESTS:
        sent += len(generate(Plan(ours.port, requests, CONNECTIONS, 0.5, ours.headers, sent)).latencies)
