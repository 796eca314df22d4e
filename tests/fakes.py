"""Stand-ins for the outside world: a queue that remembers, and clocks that the test sets."""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import sleep

from app.job_queue import JobName


class FakeJobQueue:
    def __init__(self) -> None:
        self.enqueued: list[JobName] = []

    def enqueue(self, name: JobName, *, request_id: str | None = None) -> None:
        self.enqueued.append(name)

    def count_waiting(self) -> int | None:
        return len(self.enqueued)


class FixedClock:
    """Stands still until the test sets it. `tell` is called with each new time, for others that need it."""

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

    def wait(self, seconds: float) -> None:
        self.advance(seconds=seconds)


class SharedClock(FixedClock):
    """Stands still for several threads: one that waits lets the others work."""

    def wait(self, seconds: float) -> None:
        sleep(seconds)


class SilentJobQueue(FakeJobQueue):
    """The queue of a broker that does not answer."""

    def count_waiting(self) -> int | None:
        return None


class TickingClock:
    """Moves another clock on by a step each time it is read, and then calls `watch`."""

    def __init__(self, clock: FixedClock, *, watch: Callable[[], object] | None = None, **step: float) -> None:
        self._clock = clock
        self._watch = watch
        self._step = step

    def __call__(self) -> datetime:
        self._clock.advance(**self._step)
        if self._watch is not None:
            self._watch()
        return self._clock()

    def wait(self, seconds: float) -> None:
        self._clock.wait(seconds)


class Ticker:
    """A monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds
