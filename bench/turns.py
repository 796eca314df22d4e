"""Times several calls in turns, batch by batch, so that a slow moment of the machine slows down each of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.rows import percentile

BATCH = 20

Call = Callable[[], None]


@dataclass(frozen=True)
class Timing:
    """The median and the 99th percentile of a call's duration, and its mean CPU time in this process, in ms."""

    p50: float
    p99: float
    cpu: float


def take_turns(calls: Sequence[Call], seconds: float) -> list[Timing]:
    for call in calls:
        for _ in range(BATCH):
            call()
    taken: list[list[float]] = [[] for _ in calls]
    cpu_seconds = [0.0 for _ in calls]
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for index, call in enumerate(calls):
            cpu_before = time.process_time()
            for _ in range(BATCH):
                started = time.perf_counter()
                call()
                taken[index].append(time.perf_counter() - started)
            cpu_seconds[index] += time.process_time() - cpu_before
    return [
        Timing(percentile(times, 50) * 1000, percentile(times, 99) * 1000, cpu / len(times) * 1000)
        for times, cpu in zip(taken, cpu_seconds, strict=True)
    ]
