"""A task as clients see it, in SQL: its fields, the tables that they come from, and which tasks an actor may see."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, cast, func, select
from sqlalchemy.orm import aliased
from sqlalchemy.orm.util import AliasedClass

from app.auth.actor import Actor
from app.database.prepared import parameter
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.tasks.fields import FIELDS
from app.models.tasks.former_ref import FormerRef
from app.models.tasks.task import Task
from app.queries.tasks import WHOLE_TASK, Selection, TaskKey
from app.repositories.pages import AnySelect, json_object
from app.repositories.scope import is_in_scope

Assignee = aliased(User, name="assignee")
Creator = aliased(User, name="creator")

# Task, or a stand-in that has each task's version at some instant.
TaskEntity = type[Task] | AliasedClass[Task]


# The objects that a client may ask for in place of a name.
_OBJECTS = {
    "project": json_object({"key": Project.key, "name": Project.name}),
    "creator": json_object({"id": Creator.id, "username": Creator.username}),
    "assignee": case(
        (Assignee.id.is_not(None), json_object({"id": Assignee.id, "username": Assignee.username})),
    ),
}


def ref_of(task: TaskEntity) -> ColumnElement[str]:
    """The task's ref, in a statement `with_names`."""
    return Project.key + "-" + cast(task.number, Text)


def task_fields(task: TaskEntity, selection: Selection = WHOLE_TASK) -> dict[str, Any]:
    """A task as clients see it. `schemas/tasks/answers.py` documents these fields, and a test compares the two."""
    by_name = {
        "ref": ref_of(task),
        "project": Project.key,
        "creator": Creator.username,
        "assignee": Assignee.username,
        **{name: _OBJECTS[name] for name in selection.expand},
    }
    return {
        field.name: by_name[field.name] if field.name in by_name else getattr(task, field.column_name)
        for field in FIELDS
        if not selection.fields or field.name in selection.fields
    }


TASK_FIELDS = task_fields(Task)


def is_task(*, by_ref: bool) -> ColumnElement[bool]:
    """The condition that finds the task of `key_parameters`, by a unique index.

    A ref also finds a task that had it before it moved to another project.
    """
    return Task.id == (_id_of_ref(parameter("ref", Text)) if by_ref else parameter("task_id", BigInteger))


def _id_of_ref(ref: ColumnElement[str]) -> ColumnElement[int]:
    number = cast(func.split_part(ref, "-", 2), BigInteger)
    of_key = select(Project.id).where(Project.key == func.split_part(ref, "-", 1)).scalar_subquery()
    named = aliased(Task, name="named")
    now = select(named.id).where(named.project_id == of_key, named.number == number)
    # PostgreSQL looks for a former ref only if there is no present one.
    before = select(FormerRef.task_id).where(FormerRef.project_id == of_key, FormerRef.number == number)
    return func.coalesce(now.scalar_subquery(), before.scalar_subquery())


def key_parameters(key: TaskKey) -> dict[str, Any]:
    return {"ref": key} if isinstance(key, str) else {"task_id": key}


def visible_to(actor: Actor, task: TaskEntity = Task) -> ColumnElement[bool]:
    """The condition of every query on tasks, so that none can show a task to an actor who may not see it."""
    return is_in_scope(actor, task.project_id)


def is_deleted(deleted: bool, task: TaskEntity = Task) -> ColumnElement[bool]:
    return task.deleted_at.is_not(None) if deleted else task.deleted_at.is_(None)


def with_names(statement: AnySelect, task: TaskEntity = Task) -> AnySelect:
    """Join the tables that `task_fields` takes names from."""
    return (
        statement.join_from(task, Project, Project.id == task.project_id)
        .join(Creator, Creator.id == task.creator_id)
        .outerjoin(Assignee, Assignee.id == task.assignee_id)
    )
