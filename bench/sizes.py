"""How much is measured: the variables BENCH_…, with smaller defaults if BENCH_QUICK is set."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    import_rows: int
    tasks: int
    history_tasks: int
    history_changes: int
    seconds: float
    http_seconds: float
    http_rounds: int
    open_loop_rate: int
    open_loop_seconds: float
    list_calls: int
    starts: int
    permits: tuple[int, ...]
    peer_tasks: int


def read_sizes() -> Sizes:
    """Raises ValueError for a variable that is not a number."""
    is_quick = os.environ.get("BENCH_QUICK", "") not in {"", "0"}
    return Sizes(
        import_rows=int(os.environ.get("BENCH_ROWS", "20000" if is_quick else "1000000")),
        tasks=int(os.environ.get("BENCH_TASKS", "50000" if is_quick else "1000000")),
        history_tasks=2_500 if is_quick else 100_000,
        history_changes=200 if is_quick else 1_000,
        seconds=float(os.environ.get("BENCH_SECONDS", "0.6" if is_quick else "4")),
        http_seconds=float(os.environ.get("BENCH_HTTP_SECONDS", "0.5" if is_quick else "3")),
        http_rounds=1 if is_quick else 3,
        open_loop_rate=int(os.environ.get("BENCH_RATE", "200")),
        open_loop_seconds=3.0 if is_quick else 20.0,
        list_calls=20 if is_quick else 100,
        starts=2 if is_quick else 5,
        permits=(32,) if is_quick else (2, 4, 16, 32),
        peer_tasks=1_000 if is_quick else 10_000,
    )
