"""The reaction to each event, after the transaction that published it has committed."""

import logging

from app.cache import CacheView, Space
from app.composition.resources import Resources
from app.events import (
    CommentChanged,
    DayLogged,
    DayLogRequested,
    Event,
    ImportWaiting,
    ProjectChanged,
    RecurringTaskEnded,
    SessionEnded,
    TaskChanged,
    TasksChanged,
    TasksImported,
    TasksReassigned,
    TokenRevoked,
    UserChanged,
    UserMerged,
)
from app.job_queue import JobName

logger = logging.getLogger(__name__)


def react_to(resources: Resources, cache: CacheView, event: Event, *, request_id: str | None = None) -> None:
    """React to an event after its commit. An error in a reaction is logged, since it can undo nothing any more."""
    try:
        match event:
            # Tasks show how many comments they have.
            case TaskChanged() | TasksChanged() | CommentChanged() | TasksReassigned() | TasksImported():
                cache.forget(Space.TASKS)
            case RecurringTaskEnded():
                resources.job_queue.enqueue(JobName.REPEAT_TASKS, request_id=request_id)
            case ImportWaiting():
                resources.job_queue.enqueue(JobName.RUN_IMPORTS, request_id=request_id)
            case DayLogged():
                cache.forget(Space.TASK_LOGS)
            case DayLogRequested():
                resources.job_queue.enqueue(JobName.LOG_DUE_DAYS, request_id=request_id)
            case UserChanged() | ProjectChanged():
                # Cached pages show their names too.
                cache.forget(Space.ACTORS, Space.TASKS, Space.TASK_LOGS)
            case UserMerged(user_id, into_id, by_id):
                logger.info("user merged", extra={"user_id": by_id, "merged_id": user_id, "into_id": into_id})
                cache.forget(Space.ACTORS, Space.TASKS, Space.TASK_LOGS)
            case SessionEnded() | TokenRevoked():
                cache.forget(Space.ACTORS)
    except Exception:
        logger.exception("reaction to %s failed", type(event).__name__)
