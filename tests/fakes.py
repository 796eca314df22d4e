"""What stands in for the outside world: a queue that remembers, and a clock that is told."""

from collections.abc import Callable
from datetime import datetime, timedelta

from app.job_queue import JobName


class FakeJobQueue:
    def __init__(self) -> None:
        self.enqueued: list[JobName] = []

    def enqueue(self, name: JobName, *, request_id: str | None = None) -> None:
        self.enqueued.append(name)

    def count_waiting(self) -> int | None:
        return len(self.enqueued)


class FixedClock:
    """Stands still until it is told. `tell` hears of each new time, for whoever else has to know."""

    def __init__(self, now: datetime, *, tell: Callable[[datetime], None] | None = None) -> None:
        self._tell = tell
        self.now = now

    @property
    def now(self) -> datetime:
        return self._now

    @now.setter
    def now(self, now: datetime) -> None:
        self._now = now
        if self._tell is not None:
            self._tell(now)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)
