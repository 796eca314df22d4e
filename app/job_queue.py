"""The names of all jobs, and the queue that wakes a worker for one.

A message only wakes a worker. The work itself is a row in PostgreSQL, and a scheduled sweep finds the work of a lost
message. An error of the broker is therefore logged and otherwise ignored.
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

# A header with the id of the request that started the job, for the log lines of the job.
REQUEST_ID_HEADER = "request_id"

# A frozen broker delays one publisher for a socket timeout. After that it is not asked for this long.
REST_SECONDS = 5.0
# The count is cached this long, since each look at the queue opens a connection.
COUNT_TTL_SECONDS = 1.0
# The reply code of AMQP, also used by kombu's other transports.
NOT_FOUND = "404"


class JobName(StrEnum):
    LOG_DUE_DAYS = "task_logs.log_due_days"
    REPEAT_TASKS = "tasks.repeat"
    RUN_IMPORTS = "imports.run_waiting"
    SWEEP_SESSIONS = "authentication.sweep"
    SWEEP_KEPT_ANSWERS = "idempotency.sweep"
    NUMBER_EVENTS = "events.number"
    SWEEP_EVENTS = "events.sweep"
    REFRESH_STATISTICS = "statistics.refresh"


class JobQueue(Protocol):
    def enqueue(self, name: JobName, *, request_id: str | None = None) -> None:
        """Wake a worker for the job, on behalf of that request. Never raises: the work is already stored."""
        ...

    def count_waiting(self) -> int | None:
        """The number of messages that no worker has taken yet; None if the broker does not answer."""
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
            # The type stubs know only what the channels of all transports have in common.
            channel: Any = connection.default_channel
            try:
                queue = channel.queue_declare(self._celery.conf.task_default_queue, passive=True)
            except ChannelError as error:
                if str(error.reply_code) != NOT_FOUND:
                    raise
                # The queue does not exist before its first message, nor, with Redis, while it is empty.
                return 0
            return int(queue.message_count)

    def _try(self, ask: Callable[[], Answer]) -> Answer | None:
        """Ask the broker. None if it fails, or has failed within REST_SECONDS."""
        if self._now() < self._rests_until:
            return None
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 - each transport of kombu raises errors of its own
            self._rests_until = self._now() + REST_SECONDS
            logger.warning("job queue unavailable, continuing without it: %s", type(error).__name__)
            return None
