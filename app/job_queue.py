"""Which jobs there are by name, and how a worker is woken for one.

A message is a doorbell: what must be done is a row in PostgreSQL first, and the scheduled sweep finds what a lost
message left. So a broker that is away is logged and otherwise ignored.
"""

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from amqp.exceptions import ChannelError
from celery import Celery

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# Tells a job whose request it serves, for what both write to the log.
REQUEST_ID_HEADER = "request_id"

# A frozen broker holds up one publisher for its socket timeout, then is left alone this long.
REST_SECONDS = 5.0
# Whoever asks again sooner is told the same: each look is a connection of its own.
COUNT_TTL_SECONDS = 1.0
# AMQP's reply code, and that of the transports that speak as if they were it.
NOT_FOUND = "404"


class JobName(StrEnum):
    LOG_DUE_DAYS = "task_logs.log_due_days"
    RUN_IMPORTS = "imports.run_waiting"
    SWEEP_SESSIONS = "authentication.sweep"
    REFRESH_STATISTICS = "statistics.refresh"


class JobQueue(Protocol):
    def enqueue(self, name: JobName, *, request_id: str | None = None) -> None:
        """Wake a worker for the job, on behalf of that request. Never raises: the work is a row already."""
        ...

    def count_waiting(self) -> int | None:
        """How many messages no worker has taken yet; None when the broker does not answer."""
        ...


class CeleryJobQueue:
    def __init__(self, celery_app: Celery, *, now: Callable[[], float] = time.monotonic) -> None:
        self._celery = celery_app
        self._now = now
        self._rests_until = 0.0
        self._counting = threading.Lock()
        self._counted_until = 0.0
        self._count: int | None = None

    def enqueue(self, name: JobName, *, request_id: str | None = None) -> None:
        headers = {} if request_id is None else {REQUEST_ID_HEADER: request_id}
        self._try(lambda: self._celery.send_task(name.value, retry=False, headers=headers))

    def count_waiting(self) -> int | None:
        with self._counting:
            if self._now() >= self._counted_until:
                self._count = self._try(self._look_into_queue)
                self._counted_until = self._now() + COUNT_TTL_SECONDS
            return self._count

    def _look_into_queue(self) -> int:
        with self._celery.connection_for_read() as connection:
            # A channel of the transport's own, whichever it is; the stubs know of what all have in common.
            channel: Any = connection.default_channel
            try:
                queue = channel.queue_declare(self._celery.conf.task_default_queue, passive=True)
            except ChannelError as error:
                if str(error.reply_code) != NOT_FOUND:
                    raise
                # There is none before its first message; over Redis, none either after each last one.
                return 0
            return int(queue.message_count)

    def _try(self, ask: Callable[[], Answer]) -> Answer | None:
        """The broker's answer; None when it fails or rests."""
        if self._now() < self._rests_until:
            return None
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 - kombu raises its transports' own errors, whichever they are
            self._rests_until = self._now() + REST_SECONDS
            logger.warning("job queue unavailable, going on without: %s", type(error).__name__)
            return None
