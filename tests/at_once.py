"""Call services from several threads at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from sqlalchemy import Engine, text

from app.composition.resources import Resources
from app.composition.services import Services, serving

Answer = TypeVar("Answer")


def at_once(resources: Resources, do: Callable[[Services, int], Answer], *, count: int) -> list[Answer]:
    """Call `do` in each thread, with services and a number of its own; list the answers by number."""
    barrier = Barrier(count, timeout=20)

    def run(number: int) -> Answer:
        with serving(resources) as services:
            barrier.wait()
            return do(services, number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def is_waiting(engine: Engine) -> bool:
    """True while exactly one connection to the database waits for a lock."""
    # Other tests have databases on the same server, and wait for locks there.
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with engine.connect() as connection:
        return connection.scalar(text(waiting)) == 1
