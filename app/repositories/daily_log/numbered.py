"""The SQL behind the TaskTrackerPro table's view of the record: numbered pages, and a row with its task inside."""

from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.auth.permissions import sees_deleted
from app.models.daily_log.task_log import LogRun, TaskLog
from app.models.people.user import User
from app.models.tasks.task import Task
from app.repositories.daily_log.days import TaskLogQuery, log_conditions, visible_to
from app.repositories.pages import JsonRow, joined, json_object, row_of
from app.repositories.tasks.write import visible_to as visible_tasks

# A logged task was active, which is all that `status` says in the table.
IS_ACTIVE = func.to_json(True)


class TaskLogTableRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def count(self, actor: Actor, *, on: date | None) -> int:
        """All rows that the actor may see, of one day or of all."""
        if not actor.sees_everything:
            counted = select(func.count()).select_from(TaskLog)
            return self._session.scalar(counted.where(*log_conditions(actor, TaskLogQuery(on=on)))) or 0
        # Each run counted its rows; those of months that were dropped are no longer there.
        oldest = select(func.min(TaskLog.log_date)).scalar_subquery()
        counted = select(func.coalesce(func.sum(LogRun.task_count), 0)).where(LogRun.log_date >= oldest)
        if on is not None:
            counted = counted.where(LogRun.log_date == on)
        return int(self._session.scalar(counted) or 0)

    def list_numbered(self, actor: Actor, query: TaskLogQuery, *, page: int, per_page: int) -> bytes:
        """The rows of one numbered page as a JSON array, newest day first."""
        chosen = (
            select(TaskLog.log_date, TaskLog.task_id)
            .where(*log_conditions(actor, query))
            .order_by(TaskLog.log_date.desc(), TaskLog.task_id)
            .limit(per_page)
            .offset((page - 1) * per_page)
            .subquery("page")
        )
        row = json_object(
            {
                "id": TaskLog.id,
                "task_id": TaskLog.task_id,
                "date_logged": TaskLog.log_date,
                "status": IS_ACTIVE,
                "task": func.json_build_object(
                    "task_name", TaskLog.title, "description", func.coalesce(Task.description, "")
                ),
            }
        )
        statement = (
            select(row)
            .join(chosen, (chosen.c.log_date == TaskLog.log_date) & (chosen.c.task_id == TaskLog.task_id))
            .outerjoin(Task, _is_task_in_sight(actor))
            .order_by(TaskLog.log_date.desc(), TaskLog.task_id)
        )
        return joined(self._session.scalars(statement))

    def get_row(self, actor: Actor, log_id: int) -> JsonRow | None:
        task = func.json_build_object(
            *("id", TaskLog.task_id),
            *("task_name", TaskLog.title),
            *("description", func.coalesce(Task.description, "")),
            *("priority", TaskLog.priority),
            *("created_at", Task.created_at),
            *("assigned_user", User.username),
        )
        row = json_object({"log_id": TaskLog.id, "date_logged": TaskLog.log_date, "status": IS_ACTIVE, "task": task})
        statement = (
            select(row)
            .outerjoin_from(TaskLog, Task, _is_task_in_sight(actor))
            .outerjoin(User, User.id == TaskLog.assignee_id)
            .where(TaskLog.id == log_id, visible_to(actor))
        )
        return row_of(self._session.scalar(statement))


def _is_task_in_sight(actor: Actor) -> Any:
    """A row of the log may be seen although its task may not: it has moved to another project, or was deleted."""
    is_same_task = (Task.id == TaskLog.task_id) & visible_tasks(actor)
    return is_same_task if sees_deleted(actor) else is_same_task & Task.deleted_at.is_(None)
