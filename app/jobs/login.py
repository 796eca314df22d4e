"""The jobs of logging in."""

from celery import Celery

from app.composition.services import services
from app.job_queue import JobName


def register(celery_app: Celery) -> None:
    @celery_app.task(name=JobName.SWEEP_SESSIONS.value, shared=False)
    def sweep_sessions() -> None:
        services().login.sweep()
