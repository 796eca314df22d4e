"""The metrics of this process for Prometheus. Processes that share a directory are reported together."""

import fcntl
import itertools
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

# From a cached answer to a request that runs several slow statements.
DURATION_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# The library names a file for each kind of metric below.
FILE_KINDS = ("counter", "histogram", "gauge_livesum")
# More than all methods and routes need. Each takes about 4 KiB.
FILE_BYTES = 1024 * 1024

logger = logging.getLogger(__name__)


class Metrics:
    """The metrics of a process. With a `directory`, a scrape reports all processes that share it."""

    def __init__(self, directory: Path | None = None) -> None:
        place = _taken_place(directory)
        self._directory = directory if place else None
        # Metrics use this class for their values. By default the library chooses it by an environment variable.
        values.ValueClass = (
            values.MutexValue if place is None else values.MultiProcessValue(place.number)  # type: ignore[no-untyped-call]
        )
        self._own = CollectorRegistry()
        self._request_children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests = Counter(
            "tasktrackerpro_http_requests",
            "Requests answered, by route template",
            ["method", "route", "status"],
            registry=self._own,
        )
        self.request_seconds = Histogram(
            "tasktrackerpro_http_request_duration_seconds",
            "From the start of a request to the start of its answer",
            ["method", "route"],
            buckets=DURATION_BUCKETS_SECONDS,
            registry=self._own,
        )
        self.cache_lookups = Counter(
            "tasktrackerpro_cache_lookups",
            "Cache lookups by space and result; while Redis is away all are misses",
            ["space", "result"],
            registry=self._own,
        )
        self.connections_in_use = Gauge(
            "tasktrackerpro_database_connections_in_use",
            "Connections to PostgreSQL that are in use",
            multiprocess_mode="livesum",
            registry=self._own,
        )
        self.connections_limit = Gauge(
            "tasktrackerpro_database_connections_limit",
            "Connections to PostgreSQL that may be open at most",
            multiprocess_mode="livesum",
            registry=self._own,
        )

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request. `seconds` is the time until its answer began."""
        children = self._request_children.get((method, route, status))
        if children is None:
            # The library takes longer to find the child of these labels than to count in it.
            children = self.requests.labels(method, route, str(status)), self.request_seconds.labels(method, route)
            self._request_children[method, route, status] = children
        count, histogram = children
        count.inc()
        histogram.observe(seconds)

    def count_lookup(self, space: str, was_cached: bool) -> None:
        self.cache_lookups.labels(space, "hit" if was_cached else "miss").inc()

    def registry(self, others: Iterable[Metric] = ()) -> CollectorRegistry:
        """A registry for one scrape, with the metrics of all processes and those that the caller measured."""
        registry = CollectorRegistry()
        if self._directory is None:
            registry.register(self._own)
        else:
            MultiProcessCollector(registry, path=str(self._directory))  # type: ignore[no-untyped-call]
        registry.register(_Measured(others))
        return registry


class _Measured(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class _Place:
    """The number of a process among those that are alive. The next process takes over the number and its files.

    The library names files by process id, so each worker that ever died would leave its files behind.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pid: int | None = None
        self._number = 0
        self._lock: IO[str] | None = None

    def number(self) -> int:
        """The number, taken at the first call and held by a lock until the process ends. A child takes its own."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            for number in itertools.count():
                lock = (self._directory / f"place-{number}.lock").open("w")
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    lock.close()
                    continue
                self._number, self._lock = number, lock
                # The gauges of the process that had the number before no longer count.
                mark_process_dead(number, path=str(self._directory))  # type: ignore[no-untyped-call]
                self._allocate(number)
                break
        return self._number

    def _allocate(self, number: int) -> None:
        """Reserve the files' space on the disk. On a full disk a write into a mapped file would kill the process."""
        for kind in FILE_KINDS:
            path = self._directory / f"{kind}_{number}.db"
            # A file of the right name but without its space would break the processes that read it.
            draft = path if path.exists() else path.with_suffix(".new")
            try:
                with draft.open("ab") as file:
                    os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
                draft.rename(path)
            except OSError:
                path.with_suffix(".new").unlink(missing_ok=True)
                raise


def _taken_place(directory: Path | None) -> _Place | None:
    """Take a place in the directory. None without a directory or space in it: the api must answer even then."""
    if directory is None:
        return None
    place = _Place(directory)
    try:
        place.number()
    except OSError as error:
        logger.warning("this process reports its metrics alone: %s: %s", directory, error.strerror)
        return None
    return place
