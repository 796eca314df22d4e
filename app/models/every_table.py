"""All tables in one place, for migrations to compare with the database."""

from app.models import health, login_attempt, project, session, task, task_history, task_import, task_log, user
from app.models.base import Base

__all__ = [
    "health",
    "login_attempt",
    "metadata",
    "project",
    "session",
    "task",
    "task_history",
    "task_import",
    "task_log",
    "user",
]

metadata = Base.metadata
