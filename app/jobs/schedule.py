"""The jobs that beat rings for, and how often.

Ticks only: each job finds for itself what is due, so a lost or doubled tick is harmless.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.schedules import schedule

from app.job_queue import JobName

_BEGAN_AT = datetime.now(UTC)
_BEGAN_TICKING = time.monotonic()


def steady_now() -> datetime:
    """Now, by a clock that nobody sets: by one that is set back, nothing would be due until the old time has come."""
    return _BEGAN_AT + timedelta(seconds=time.monotonic() - _BEGAN_TICKING)


def _every(seconds: int, name: JobName) -> dict[str, Any]:
    # A tick that nobody took before the next one is of no use any more.
    return {"task": name.value, "schedule": schedule(seconds, nowfun=steady_now), "options": {"expires": seconds}}


SCHEDULE: dict[str, dict[str, Any]] = {
    "log due days": _every(300, JobName.LOG_DUE_DAYS),
    # So often that an import whose worker died goes on soon after its claim is over.
    "run waiting imports": _every(5, JobName.RUN_IMPORTS),
    # Until then a list over what an import made takes several times as long.
    "refresh statistics": _every(10, JobName.REFRESH_STATISTICS),
    "sweep sessions": _every(3600, JobName.SWEEP_SESSIONS),
}
