"""The SQL of handing over the tasks of one user to another.

Each handover locks its tasks in the order of their ids first, so that two of them cannot wait for each other. Then one
statement changes all of them.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Update, func, select, text, update
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.database.engine import ensure_signed
from app.models.projects.project import Project
from app.models.tasks.fields import ACTIVE_STATUSES
from app.models.tasks.task import Task
from app.repositories.tasks.rows import is_deleted, visible_to

# While it is on, the trigger `ensure_projects_are_open` lets this transaction write tasks of archived projects.
_WRITES_ARCHIVED = "SET LOCAL tasktracker.writes_archived_projects TO"


class HandoverRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def reassign(
        self,
        actor: Actor,
        from_id: int,
        to_id: int,
        *,
        project_id: int | None,
        only_active: bool,
        at: datetime,
    ) -> dict[int, int]:
        """Reassign the tasks that the actor may see, except deleted ones and those of archived projects.

        Count them by project.
        """
        ensure_signed(self._session)
        conditions = [visible_to(actor), is_deleted(False), Task.assignee_id == from_id]
        if project_id is None:
            # Their tasks are read-only. Whoever names an archived project is told so.
            archived = select(Project.id).where(Project.archived_at.is_not(None))
            conditions.append(Task.project_id.not_in(archived))
        if project_id is not None:
            conditions.append(Task.project_id == project_id)
        if only_active:
            conditions.append(Task.status.in_(ACTIVE_STATUSES))
        self._lock(*conditions)
        moved = _give(to_id, at).where(*conditions).returning(Task.project_id).cte("moved")
        counted = select(moved.c.project_id, func.count().label("task_count")).group_by(moved.c.project_id)
        return {row.project_id: row.task_count for row in self._session.execute(counted)}

    def merge(self, from_id: int, to_id: int, *, at: datetime) -> int:
        """Replace a user as the assignee of all their tasks, also of deleted ones and in archived projects.

        Count the tasks. The merged user must have none left.
        """
        ensure_signed(self._session)
        is_theirs = Task.assignee_id == from_id
        self._lock(is_theirs)
        moved = _give(to_id, at).where(is_theirs).returning(Task.id).cte("moved")
        self._session.execute(text(f"{_WRITES_ARCHIVED} 'on'"))
        count = self._session.scalar(select(func.count()).select_from(moved)) or 0
        self._session.execute(text(f"{_WRITES_ARCHIVED} 'off'"))
        return count

    def _lock(self, *conditions: ColumnElement[bool]) -> None:
        tasks = select(Task.id).where(*conditions).order_by(Task.id).with_for_update(key_share=True)
        # Counted, so that the ids are not sent.
        self._session.execute(select(func.count()).select_from(tasks.subquery()))


def _give(to_id: int, at: datetime) -> Update:
    return update(Task).values(assignee_id=to_id, updated_at=at, version=Task.version + 1)
