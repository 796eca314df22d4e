"""Which jobs there are by name, and how a worker is woken for one.

A message is a doorbell: what must be done is a row in PostgreSQL first, and the scheduled sweep finds what a lost
message left. So a broker that is away is logged and otherwise ignored.
"""

import logging
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from celery import Celery

logger = logging.getLogger(__name__)

# A frozen broker holds up one publisher for its socket timeout, then is left alone this long.
REST_SECONDS = 5.0


class JobName(StrEnum):
    LOG_DUE_DAYS = "task_logs.log_due_days"
    RUN_IMPORTS = "imports.run_waiting"
    SWEEP_SESSIONS = "authentication.sweep"


class JobQueue(Protocol):
    def enqueue(self, name: JobName) -> None:
        """Wake a worker for the job. Never raises: the work is a row already."""
        ...


class CeleryJobQueue:
    def __init__(self, celery_app: Celery, *, now: Callable[[], float] = time.monotonic) -> None:
        self._celery = celery_app
        self._now = now
        self._rests_until = 0.0

    def enqueue(self, name: JobName) -> None:
        if self._now() < self._rests_until:
            return
        try:
            self._celery.send_task(name.value, retry=False)
        except Exception as error:  # noqa: BLE001 - kombu raises its transports' own errors, whichever they are
            self._rests_until = self._now() + REST_SECONDS
            logger.warning("job queue unavailable, the sweep will find the work: %s", type(error).__name__)
