"""Group `overload`: more requests than two cores can answer beside the load generator. Each answer must be quick."""

from collections.abc import Iterator

from bench.processes import tracker
from bench.rows import Row, limit_row
from bench.stage import Stage

LIMIT_SECONDS = 0.5


def measure_overload(stage: Stage) -> None:
    stage.report.measure("open loop", lambda: _open_loop(stage))


def _open_loop(stage: Stage) -> Iterator[Row]:
    rate, seconds = stage.sizes.open_loop_rate, stage.sizes.open_loop_seconds
    with stage.database() as settings, tracker(settings, stage.directory / "overload", api_processes=2) as ours:
        tally = ours.open_loop(rate=rate, seconds=seconds)
    what = f"open loop of {rate}/s for {seconds:g} s"
    for name, times in (("accepted", tally.accepted), ("refused", tally.refused)):
        yield limit_row(f"{what}: {len(times):,} {name}, p99", tally.p99(times), LIMIT_SECONDS, "s")
    if tally.failures:
        raise RuntimeError(f"{len(tally.failures)} requests failed: {', '.join(tally.failures[:5])}")
