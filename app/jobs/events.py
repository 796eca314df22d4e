"""The jobs that number events and delete old ones."""

from celery import Celery

from app.composition.services import services
from app.job_queue import JobName


def register(celery_app: Celery) -> None:
    @celery_app.task(name=JobName.NUMBER_EVENTS.value, shared=False)
    def number_events() -> None:
        services().event_feed.number()

    @celery_app.task(name=JobName.SWEEP_EVENTS.value, shared=False)
    def sweep_events() -> None:
        services().event_feed.sweep()
