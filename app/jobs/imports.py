"""The jobs of imports."""

from celery import Celery

from app.composition.services import services
from app.job_queue import JobName
from app.jobs.celery_app import WHOLE_WORK_LIMITS


def register(celery_app: Celery) -> None:
    @celery_app.task(name=JobName.RUN_IMPORTS.value, shared=False, **WHOLE_WORK_LIMITS)
    def run_waiting_imports() -> None:
        services().import_runs.run_waiting()
