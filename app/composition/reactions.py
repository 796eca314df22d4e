"""The reaction to each event, after the transaction that published it has committed."""

import logging

from app.composition.resources import Resources
from app.events import (
    DayLogged,
    DayLogRequested,
    Event,
    ImportWaiting,
    ProjectChanged,
    SessionEnded,
    TaskChanged,
    TasksImported,
    UserChanged,
)
from app.job_queue import JobName

logger = logging.getLogger(__name__)


def react_to(resources: Resources, event: Event, *, request_id: str | None = None) -> None:
    """React to an event after its commit. An error in a reaction is logged, since it can undo nothing any more."""
    try:
        match event:
            case TaskChanged() | TasksImported():
                resources.cache.forget("tasks")
            case ImportWaiting():
                resources.job_queue.enqueue(JobName.RUN_IMPORTS, request_id=request_id)
            case DayLogged():
                resources.cache.forget("task_logs")
            case DayLogRequested():
                resources.job_queue.enqueue(JobName.LOG_DUE_DAYS, request_id=request_id)
            case UserChanged() | ProjectChanged():
                # Cached pages show their names too.
                resources.cache.forget("actors", "tasks", "task_logs")
            case SessionEnded():
                resources.cache.forget("actors")
    except Exception:
        logger.exception("reaction to %s failed", type(event).__name__)
