"""Group `log`: the daily log of many tasks, beside one bare INSERT … SELECT."""

import resource
from collections.abc import Iterator

from bench.floors import bare_log
from bench.rows import Row, limit_row, rate_row
from bench.stage import Stage
from bench.workload import Workload


def measure_log(stage: Stage) -> None:
    work = stage.many_tasks()
    stage.report.measure("daily log", lambda: _daily_log(work))


def _daily_log(work: Workload) -> Iterator[Row]:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    days, seconds = work.log_missing_days()
    assert days == 1, days
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    floor_seconds = bare_log(work.settings)
    yield rate_row("daily log", "one INSERT … SELECT", work.count_active(), seconds, floor_seconds, 0.9)
    yield limit_row("memory of the daily log", grown, 64, "MB")
