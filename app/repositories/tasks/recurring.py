"""The SQL of tasks that recur: finding one that is due to come again."""

from datetime import datetime

from sqlalchemy import DateTime, or_, select
from sqlalchemy.orm import Session

from app.database.prepared import Prepared, parameter
from app.models.projects.project import Project
from app.models.tasks.fields import ACTIVE_STATUSES
from app.models.tasks.task import Task
from app.repositories.tasks.rows import is_deleted
from app.repositories.tasks.write import LOCKED_COLUMNS, locked_task

_NEXT_DUE = Prepared(
    select(*LOCKED_COLUMNS)
    .where(
        Task.recurrence.is_not(None),
        is_deleted(False),
        Task.due_at.is_not(None),
        # The tasks of an archived project are read-only. They come again when the project is restored.
        Task.project_id.not_in(select(Project.id).where(Project.archived_at.is_not(None))),
        or_(Task.due_at <= parameter("now", DateTime(timezone=True)), Task.status.not_in(ACTIVE_STATUSES)),
    )
    .order_by(Task.due_at, Task.id)
    .limit(1)
    # Another worker has locked what is left out, and repeats it.
    .with_for_update(skip_locked=True)
)


class RecurringTaskRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def lock_next_due(self, *, now: datetime) -> Task | None:
        """The next recurring task that has ended or whose deadline has passed, locked until the commit."""
        rows = _NEXT_DUE.rows(self._session, {"now": now})
        return locked_task(rows[0]) if rows else None
