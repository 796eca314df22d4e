"""How Celery is set up: messages are doorbells that may be lost, doubled or late, and nothing waits for a broker."""

from typing import Any

from celery import Celery

from app.jobs.schedule import SCHEDULE
from app.settings import Settings

VISIBILITY_TIMEOUT_SECONDS = 120
# A day of the log, and a file that is taken whole or not at all, are one transaction each and cannot be cut: with
# millions of rows they take longer than other jobs may. The broker then gives the message to a second worker, who finds
# the work taken and leaves it.
WHOLE_WORK_LIMITS: Any = {"soft_time_limit": 540, "time_limit": 600}


def make_celery(settings: Settings) -> Celery:
    celery_app = Celery("tasktrackerpro", broker=settings.celery_broker_url)
    celery_app.conf.update(
        # Others may use the same broker, so we have a queue of our own.
        task_default_queue="tasktrackerpro",
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        timezone="UTC",
        # A worker that dies gives its job back at once, and takes no second one before the first is done.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_soft_time_limit=50,
        task_time_limit=60,
        worker_soft_shutdown_timeout=5,
        worker_enable_soft_shutdown_on_idle=True,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_hijack_root_logger=False,
        # Nobody steers workers by messages: whoever could reach the broker could.
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        # However long the broker is away.
        broker_connection_max_retries=None,
        # Publishing to a broker that is away fails at once instead of holding up the publisher.
        task_publish_retry=False,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            # kombu's defaults give a lost job back after 100 s; with these it is about 5 s.
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            "socket_timeout": 1.0,
            "socket_connect_timeout": 1.0,
            "max_retries": 0,
        }
        if settings.celery_broker_url.startswith(("redis", "valkey"))
        else {"max_retries": 0, "read_timeout": 2, "write_timeout": 2},
        broker_connection_timeout=2,
        beat_schedule=SCHEDULE,
    )
    return celery_app
