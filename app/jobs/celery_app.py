"""The configuration of Celery: messages may be lost, doubled or late, and nothing waits for the broker."""

from typing import Any

from celery import Celery

from app.jobs.schedule import SCHEDULE
from app.settings import Settings

VISIBILITY_TIMEOUT_SECONDS = 120
# A day of the log is one transaction, and so is an all-or-nothing import. With millions of rows they take longer than
# other jobs may. The broker then hands the message to a second worker, which finds the work taken and leaves it.
WHOLE_WORK_LIMITS: Any = {"soft_time_limit": 540, "time_limit": 600}


def make_celery(settings: Settings) -> Celery:
    celery_app = Celery("tasktrackerpro", broker=settings.celery_broker_url)
    celery_app.conf.update(
        # Other programs may use the same broker, so we have a queue of our own.
        task_default_queue="tasktrackerpro",
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        timezone="UTC",
        # The job of a worker that dies goes back to the queue, and a worker takes one job at a time.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_soft_time_limit=50,
        task_time_limit=60,
        worker_soft_shutdown_timeout=5,
        worker_enable_soft_shutdown_on_idle=True,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_hijack_root_logger=False,
        # Remote control is off: anybody who reaches the broker could use it.
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        # Keep trying, however long the broker is away.
        broker_connection_max_retries=None,
        # If the broker is away, publishing fails at once instead of delaying the publisher.
        task_publish_retry=False,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            # With kombu's defaults a lost job is redelivered after 100 s, with these after about 5 s.
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
