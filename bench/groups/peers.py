"""Group `peers`."""

from bench.stage import Stage


def measure_peers(stage: Stage) -> None:
    stage.report.skip("peers", "nothing yet")
