"""All tables in one place, for migrations to compare with the database."""

from app.models import (
    health,
    login_attempt,
    login_network,
    login_wait,
    project,
    session,
    task,
    task_history,
    task_import,
    task_log,
    user,
)
from app.models.base import Base

__all__ = [
    "health",
    "login_attempt",
    "login_network",
    "login_wait",
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
