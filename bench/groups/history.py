"""Group `history`: what the history's triggers cost, and how long logging of missed days takes."""

from bench.rows import Row, limit_row, times_row
from bench.stage import Stage
from bench.workload import Workload

MISSING_DAYS = 30
ROUNDS = 2


def measure_history(stage: Stage) -> None:
    count = stage.sizes.history_tasks
    with stage.workload() as work:
        work.add_tasks("GEN", count)
        stage.report.measure("history of one change", lambda: _one_change(work, stage.sizes.history_changes))
        stage.report.measure("imports with history", lambda: _imports(work, count))
    with stage.workload() as work:
        work.add_tasks("GEN", count, days_ago=MISSING_DAYS)
        stage.report.measure("missing days", lambda: _missing_days(work, count))


def _one_change(work: Workload, changes: int) -> Row:
    return limit_row("history of one change", work.time_of_history(changes) * 1000, 0.25, "ms")


def _imports(work: Workload, count: int) -> Row:
    seconds_with = seconds_without = 0.0
    for _ in range(ROUNDS):
        seconds_with += work.import_rows(count)
        with work.without_history():
            seconds_without += work.import_rows(count)
    return times_row(f"{ROUNDS} imports of {count:,} with history", "without", seconds_with, seconds_without, 1.25)


def _missing_days(work: Workload, count: int) -> Row:
    days, seconds = work.log_missing_days()
    assert days == MISSING_DAYS, days
    return limit_row(f"{MISSING_DAYS} missing days of {count:,} tasks", seconds, 60, "s")
