"""The job that deletes kept answers."""

from celery import Celery

from app.composition.services import services
from app.job_queue import JobName


def register(celery_app: Celery) -> None:
    @celery_app.task(name=JobName.SWEEP_KEPT_ANSWERS.value, shared=False)
    def sweep_kept_answers() -> None:
        services().idempotency.sweep()
