"""What stands in for the outside world: a queue that remembers, and a clock that is told."""

from datetime import datetime, timedelta

from app.job_queue import JobName


class FakeJobQueue:
    def __init__(self) -> None:
        self.enqueued: list[JobName] = []

    def enqueue(self, name: JobName) -> None:
        self.enqueued.append(name)


class FixedClock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)
