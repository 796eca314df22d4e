"""The job that repeats tasks."""

from celery import Celery

from app.composition.services import services
from app.job_queue import JobName


def register(celery_app: Celery) -> None:
    @celery_app.task(name=JobName.REPEAT_TASKS.value, shared=False)
    def repeat_tasks() -> None:
        services().recurring_tasks.repeat_due()
