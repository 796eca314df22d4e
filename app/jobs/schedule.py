"""What beat rings for, and how often.

Ticks only: each job finds for itself what is due, so a lost or doubled tick is harmless.
"""

from typing import Any

from app.job_queue import JobName


def _every(seconds: int, name: JobName) -> dict[str, Any]:
    # A tick that nobody took before the next one is of no use any more.
    return {"task": name.value, "schedule": seconds, "options": {"expires": seconds}}


SCHEDULE: dict[str, dict[str, Any]] = {
    "log due days": _every(300, JobName.LOG_DUE_DAYS),
    # So often that an import whose worker died goes on soon after its claim is over.
    "run waiting imports": _every(5, JobName.RUN_IMPORTS),
    # Until then a list over what an import made takes several times as long.
    "refresh statistics": _every(10, JobName.REFRESH_STATISTICS),
    "sweep sessions": _every(3600, JobName.SWEEP_SESSIONS),
}
