"""Imports every model, so that migrations can compare all tables with the database."""

from app.models import idempotency, views
from app.models.base import Base
from app.models.comments import comment
from app.models.comments import version as comment_version
from app.models.daily_log import task_log
from app.models.events import event, head, outbox
from app.models.health import sighting
from app.models.imports import link, mapping, task_import
from app.models.login import api_token, attempt, network, password_reset, session, wait
from app.models.people import user
from app.models.projects import project
from app.models.tasks import follower, former_ref, task, version

__all__ = [
    "api_token",
    "attempt",
    "comment",
    "comment_version",
    "event",
    "follower",
    "former_ref",
    "head",
    "idempotency",
    "link",
    "mapping",
    "metadata",
    "network",
    "outbox",
    "password_reset",
    "project",
    "session",
    "sighting",
    "task",
    "task_import",
    "task_log",
    "user",
    "version",
    "views",
    "wait",
]

metadata = Base.metadata
