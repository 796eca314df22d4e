"""The jobs of the daily log."""

from celery import Celery

from app.composition.services import services
from app.job_queue import JobName
from app.jobs.celery_app import WHOLE_WORK_LIMITS


def register(celery_app: Celery) -> None:
    @celery_app.task(name=JobName.LOG_DUE_DAYS.value, shared=False, **WHOLE_WORK_LIMITS)
    def log_due_days() -> None:
        services().daily_log.log_due_days()
