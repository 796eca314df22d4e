"""The SQL of single tasks: finding, locking and adding them, and reading them as JSON."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, select
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.people.user import Role
from app.models.tasks.fields import ACTIVE_STATUSES, FIELDS
from app.models.tasks.task import Task
from app.queries.pages import Shape
from app.queries.tasks import TaskView
from app.repositories.pages import json_text, shaped
from app.repositories.prepared import Prepared, parameter
from app.repositories.tasks.rows import TASK_FIELDS, is_deleted, scope_parameters, visible_to, with_names

# The fields that need no join.
_JOINLESS_FIELDS = {field.name: TASK_FIELDS[field.name] for field in FIELDS if not field.column}


class TaskRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get_for_update(self, actor: Actor, task_id: int, *, deleted: bool = False) -> Task | None:
        """Locked until the commit, with current values: a row that this session has loaded before is read again."""
        statement = select(Task).where(Task.id == task_id, visible_to(actor), is_deleted(deleted))
        return self._session.scalar(statement.with_for_update().execution_options(populate_existing=True))

    def add(self, task: Task) -> None:
        """Flushes, so that the task has its id."""
        self._session.add(task)
        self._session.flush()

    def save_if_changed(self, task: Task, *, at: datetime) -> bool:
        """Save the task and return True if anything changed. Otherwise the task keeps its version."""
        if not self._session.is_modified(task):
            return False
        task.updated_at = at
        self._session.flush()
        return True

    def get_view(self, actor: Actor, task_id: int, *, include_deleted: bool) -> TaskView | None:
        values = {"task_id": task_id, **scope_parameters(actor)}
        rows = _view(actor.role, include_deleted).rows(self._session, values)
        return TaskView(rows[0].json.encode(), rows[0].id, rows[0].version, rows[0].title) if rows else None

    def list_active(self, actor: Actor, shape: Shape, *, after_id: int, limit: int) -> Sequence[Any]:
        """The next active tasks after `after_id` that the actor may see: rows of (id, JSON in this shape)."""
        statement = (
            select(Task.id, json_text(shaped(shape, _JOINLESS_FIELDS)).label("json"))
            .where(visible_to(actor), is_deleted(False), Task.status.in_(ACTIVE_STATUSES), Task.id > after_id)
            .order_by(Task.id)
            .limit(limit)
        )
        return self._session.execute(statement).all()


@cache
def _view(role: Role, include_deleted: bool) -> Prepared:
    # Of an actor only the role decides the text.
    actor = Actor(0, "", role, frozenset())
    statement = with_names(select(Task.id, Task.title, Task.version, json_text(TASK_FIELDS).label("json")))
    statement = statement.where(Task.id == parameter("task_id", BigInteger), visible_to(actor))
    return Prepared(statement if include_deleted else statement.where(is_deleted(False)))
