"""The jobs that beat starts, and how often.

Each job finds for itself what is due, so a lost or doubled tick is harmless.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import schedule

from app.job_queue import JobName

_BEGAN_AT = datetime.now(UTC)
_BEGAN_TICKING = time.monotonic()


def steady_now() -> datetime:
    """The present time by a clock that is never set. If the clock were set back, beat would pause that long."""
    return _BEGAN_AT + timedelta(seconds=time.monotonic() - _BEGAN_TICKING)


def _every(seconds: int, name: JobName) -> dict[str, Any]:
    # A tick that no worker took before the next one is useless.
    return {"task": name.value, "schedule": schedule(seconds, nowfun=steady_now), "options": {"expires": seconds}}


SCHEDULE: dict[str, dict[str, Any]] = {
    "log due days": _every(300, JobName.LOG_DUE_DAYS),
    # A task that has ended is repeated at once. Beat finds those whose deadline has passed.
    "repeat tasks": _every(60, JobName.REPEAT_TASKS),
    # Often, so that an import whose worker died continues soon after its claim ends.
    "run waiting imports": _every(5, JobName.RUN_IMPORTS),
    # Until the statistics are fresh, lists of newly imported tasks take several times as long.
    "refresh statistics": _every(10, JobName.REFRESH_STATISTICS),
    # Readers number events themselves. Without readers the outbox stays short all the same.
    "number events": _every(2, JobName.NUMBER_EVENTS),
    "sweep events": _every(3600, JobName.SWEEP_EVENTS),
    "sweep sessions": _every(3600, JobName.SWEEP_SESSIONS),
    "sweep kept answers": _every(3600, JobName.SWEEP_KEPT_ANSWERS),
}
