"""Each job is logged and counted, and worker and beat leave signs that they are at work."""

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
from app.models.health.sighting import JobResult, Part

logger = logging.getLogger(__name__)
lifecycle = logging.getLogger(LIFECYCLE)

SIGHTING_INTERVAL_SECONDS = 15.0


def serve_each_job(celery_app: Celery, resources: Resources) -> None:
    """Before the jobs are registered: gives each its services, as each request has them, and counts it."""

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

    # How Celery's own documentation does it; its stubs disagree.
    celery_app.Task = ServedTask  # type: ignore[misc]


def name_jobs_in_the_log() -> None:
    """Celery's own words on a job, of its failure above all, carry the job's name and request too."""

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
        # Beat's first tick comes an interval after its start; what fell due while nothing ran need not wait for it.
        resources.job_queue.enqueue(JobName.LOG_DUE_DAYS)
        resources.job_queue.enqueue(JobName.RUN_IMPORTS)

    @heartbeat_sent.connect(weak=False)
    def live_on(**_kwargs: Any) -> None:
        """Every two seconds while the main loop turns and has a connection to the broker."""
        _touch(resources.settings.alive_file)


def watch_beat(resources: Resources) -> None:
    seen_at = float("-inf")

    def tick(**_kwargs: Any) -> None:
        """After each tick that the broker took. A worker may be away: beat says for itself that it ticks."""
        nonlocal seen_at
        _touch(resources.settings.alive_file)
        if time.monotonic() - seen_at < SIGHTING_INTERVAL_SECONDS:
            return
        seen_at = time.monotonic()
        try:
            with serving(resources) as services:
                services.health.see(Part.BEAT)
        except Exception:
            logger.exception("beat could not say that it ticks")

    @beat_init.connect(weak=False)
    def begin(sender: Service, **_kwargs: Any) -> None:
        # Beat has nobody waiting for it, and without a second try it would never leave a connection that broke.
        sender.app.conf.task_publish_retry = True
        after_task_publish.connect(tick, weak=False)
        lifecycle.info("beat is ready")
        tick()


def _count(resources: Resources, job: str, result: JobResult, seconds: float) -> None:
    """A job that is done is done, counted or not."""
    try:
        with serving(resources) as services:
            services.health.count_job(job, result, seconds=seconds)
    except Exception:
        logger.exception("%s could not be counted as %s", job, result.value)


def _request_id_of(task: Task) -> str | None:  # type: ignore[type-arg]
    """The id of the request that rang for this job; a job of the schedule has an id of its own."""
    request_id: str | None = task.request.get(REQUEST_ID_HEADER) or task.request.id
    return request_id


def _touch(alive_file: Path | None) -> None:
    if alive_file is not None:
        alive_file.touch()
