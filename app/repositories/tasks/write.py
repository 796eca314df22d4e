"""The SQL of single tasks: finding, locking and adding them, and reading them as JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Text, cast, select, true
from sqlalchemy.orm import Session, aliased
from sqlalchemy.orm.util import AliasedClass

from app.auth.actor import Actor
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.tasks.fields import ACTIVE_STATUSES, FIELDS
from app.models.tasks.task import Task
from app.queries.pages import Shape
from app.queries.tasks import TaskView
from app.repositories.pages import AnySelect, json_text, shaped

Assignee = aliased(User, name="assignee")
Creator = aliased(User, name="creator")

# Task, or a stand-in that has each task's version at some instant.
TaskEntity = type[Task] | AliasedClass[Task]


def task_fields(task: TaskEntity) -> dict[str, Any]:
    """A task as clients see it. `schemas/tasks.py` documents these fields, and a test compares the two."""
    by_name = {
        "ref": Project.key + "-" + cast(task.number, Text),
        "project": Project.key,
        "creator": Creator.username,
        "assignee": Assignee.username,
    }
    return {
        field.name: by_name[field.name] if field.name in by_name else getattr(task, field.column_name)
        for field in FIELDS
    }


TASK_FIELDS = task_fields(Task)
# The fields that need no join.
_JOINLESS_FIELDS = {field.name: TASK_FIELDS[field.name] for field in FIELDS if not field.column}


class TaskRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get_for_update(self, actor: Actor, task_id: int, *, deleted: bool = False) -> Task | None:
        """Locked until the commit, with current values: a row that this session has loaded before is read again."""
        statement = select(Task).where(Task.id == task_id, visible_to(actor), _is_deleted(deleted))
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
        statement = _VIEW.where(Task.id == task_id, visible_to(actor))
        if not include_deleted:
            statement = statement.where(_is_deleted(False))
        row = self._session.execute(statement).one_or_none()
        return None if row is None else TaskView(row.json.encode(), row.id, row.version, row.title)

    def list_active(self, actor: Actor, shape: Shape, *, after_id: int, limit: int) -> Sequence[Any]:
        """The next active tasks after `after_id` that the actor may see: rows of (id, JSON in this shape)."""
        statement = (
            select(Task.id, json_text(shaped(shape, _JOINLESS_FIELDS)))
            .where(visible_to(actor), _is_deleted(False), Task.status.in_(ACTIVE_STATUSES), Task.id > after_id)
            .order_by(Task.id)
            .limit(limit)
        )
        return self._session.execute(statement).all()


def visible_to(actor: Actor, task: TaskEntity = Task) -> Any:
    """The condition of every query on tasks, so that none can show a task to an actor who may not see it."""
    return true() if actor.sees_everything else task.project_id.in_(actor.project_ids)


def with_names(statement: AnySelect, task: TaskEntity = Task) -> AnySelect:
    """Join the tables that `task_fields` takes names from."""
    return (
        statement.join_from(task, Project, Project.id == task.project_id)
        .join(Creator, Creator.id == task.creator_id)
        .outerjoin(Assignee, Assignee.id == task.assignee_id)
    )


def _is_deleted(deleted: bool) -> Any:
    return Task.deleted_at.is_not(None) if deleted else Task.deleted_at.is_(None)


# Built once, because building it takes as long as the query itself.
_VIEW = with_names(select(Task.id, Task.title, Task.version, json_text(TASK_FIELDS).label("json")))
