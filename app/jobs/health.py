"""The job that refreshes the planner's statistics."""

from celery import Celery

from app.composition.services import services
from app.job_queue import JobName


def register(celery_app: Celery) -> None:
    @celery_app.task(name=JobName.REFRESH_STATISTICS.value, shared=False)
    def refresh_statistics() -> None:
        services().statistics.refresh()
