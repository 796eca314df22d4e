"""Group `imports`: uploads to the tracker's own processes, beside a bare COPY into the same table."""

import statistics
from collections.abc import Iterator

from bench.floors import bare_copy
from bench.processes import tracker, write_rows
from bench.rows import Row, limit_row, rate_row
from bench.stage import Stage

SMALL_ROWS = 1_000


def measure_imports(stage: Stage) -> None:
    stage.report.measure("imports", lambda: _imports(stage))


def _imports(stage: Stage) -> Iterator[Row]:
    """Measure imports in one database, and a bare COPY before and after them, each in a new database."""
    rows = stage.sizes.import_rows
    large = write_rows(stage.directory / "large.csv", rows)
    small = write_rows(stage.directory / "small.csv", SMALL_ROWS)
    copy_seconds = [_copy_seconds(stage)]
    with stage.database() as settings, tracker(settings, stage.directory / "imports") as ours:
        # The first import warms up every process.
        ours.import_rows(small)
        answered = ours.import_rows(small)
        yield limit_row(f"1 import of {SMALL_ROWS:,} rows", answered.seconds, 0.5, "s")
        imported = ours.import_rows(large)
    copy_seconds.append(_copy_seconds(stage))
    floor_seconds = statistics.mean(copy_seconds)
    yield rate_row("CSV import, upload to last task,", "COPY into the same table", rows, imported.seconds,
                   floor_seconds, 0.6)  # fmt: skip
    yield limit_row("its api grows by", imported.api_growth / 2**20, 64, "MB")
    yield limit_row("its worker grows by", imported.worker_growth / 2**20, 128, "MB")


def _copy_seconds(stage: Stage) -> float:
    with stage.database() as settings:
        return bare_copy(settings, stage.sizes.import_rows)
