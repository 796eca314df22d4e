"""Logs and counts each job, and records that worker and beat are alive."""

import logging
import time
from pathlib import Path
from typing import Any

import structlog
from celery import Celery, Task
from celery.beat import Service
from celery.signals import after_task_publish, beat_init, heartbeat_sent, task_postrun, task_prerun, worker_ready

from app.composition.resources import Resources
from app.composition.services import serving
from app.job_queue import REQUEST_ID_HEADER, JobName
from app.log_lines import LIFECYCLE
from app.models.health.sighting import BackgroundProcess, JobResult

logger = logging.getLogger(__name__)
lifecycle = logging.getLogger(LIFECYCLE)

SIGHTING_INTERVAL_SECONDS = 15.0


def serve_each_job(celery_app: Celery, resources: Resources) -> None:
    """Give each job its own services, as a request has them, and count it. Call this before jobs are registered."""

    class ServedTask(Task):  # type: ignore[type-arg]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            result, began_at = JobResult.FAILED, time.perf_counter()
            try:
                with serving(resources, request_id=_request_id_of(self)):
                    outcome = super().__call__(*args, **kwargs)
                result = JobResult.SUCCEEDED
                return outcome
            finally:
                _count(resources, self.name, result, time.perf_counter() - began_at)

    # Celery documents this way of setting the class; its type stubs do not allow it.
    celery_app.Task = ServedTask  # type: ignore[misc]


def name_jobs_in_the_log() -> None:
    """Add the job's name and request to Celery's own log lines about the job, such as those about a failure."""

    @task_prerun.connect(weak=False)
    def bind(task: Task, **_kwargs: Any) -> None:  # type: ignore[type-arg]
        structlog.contextvars.bind_contextvars(job=task.name, request_id=_request_id_of(task))

    @task_postrun.connect(weak=False)
    def unbind(**_kwargs: Any) -> None:
        structlog.contextvars.clear_contextvars()


def watch_worker(resources: Resources) -> None:
    @worker_ready.connect(weak=False)
    def begin(**_kwargs: Any) -> None:
        lifecycle.info("worker is ready")
        _touch(resources.settings.alive_file)
        # Beat's first tick comes one interval after its start. Work that fell due while nothing ran begins now.
        resources.job_queue.enqueue(JobName.LOG_DUE_DAYS)
        resources.job_queue.enqueue(JobName.RUN_IMPORTS)

    @heartbeat_sent.connect(weak=False)
    def live_on(**_kwargs: Any) -> None:
        """Called every two seconds while the main loop runs and is connected to the broker."""
        _touch(resources.settings.alive_file)


def watch_beat(resources: Resources) -> None:
    seen_at = float("-inf")

    def tick(**_kwargs: Any) -> None:
        """Called after each tick that the broker accepted. Beat reports for itself, since no worker may be running."""
        nonlocal seen_at
        _touch(resources.settings.alive_file)
        if time.monotonic() - seen_at < SIGHTING_INTERVAL_SECONDS:
            return
        seen_at = time.monotonic()
        try:
            with serving(resources) as services:
                services.health.see(BackgroundProcess.BEAT)
        except Exception:
            logger.exception("beat could not record that it ticks")

    @beat_init.connect(weak=False)
    def begin(sender: Service, **_kwargs: Any) -> None:
        # Nobody waits for beat, so it may retry; without a retry it would never replace a broken connection.
        sender.app.conf.task_publish_retry = True
        after_task_publish.connect(tick, weak=False)
        lifecycle.info("beat is ready")
        tick()


def _count(resources: Resources, job: str, result: JobResult, seconds: float) -> None:
    """Count the job. A failure to count does not fail the job."""
    try:
        with serving(resources) as services:
            services.health.count_job(job, result, seconds=seconds)
    except Exception:
        logger.exception("%s could not be counted as %s", job, result.value)


def _request_id_of(task: Task) -> str | None:  # type: ignore[type-arg]
    """The id of the request that started this job; a scheduled job has its own id."""
    request_id: str | None = task.request.get(REQUEST_ID_HEADER) or task.request.id
    return request_id


def _touch(alive_file: Path | None) -> None:
    if alive_file is not None:
        alive_file.touch()
