"""A task as clients see it, in SQL: its fields, the tables that they come from, and which tasks an actor may see."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlalchemy.orm.util import AliasedClass

from app.auth.actor import Actor
from app.database.prepared import parameter
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.tasks.fields import FIELDS
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


def task_fields(task: TaskEntity, selection: Selection = WHOLE_TASK) -> dict[str, Any]:
    """A task as clients see it. `schemas/tasks/answers.py` documents these fields, and a test compares the two."""
    by_name = {
        "ref": Project.key + "-" + cast(task.number, Text),
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
    """The condition that finds the task of `key_parameters`, by a unique index."""
    if not by_ref:
        return Task.id == parameter("task_id", BigInteger)
    ref = parameter("ref", Text)
    project_id = select(Project.id).where(Project.key == func.split_part(ref, "-", 1)).correlate(None)
    number = cast(func.split_part(ref, "-", 2), BigInteger)
    return (Task.project_id == project_id.scalar_subquery()) & (Task.number == number)


def ids_of_refs() -> AnySelect:
    """The ids of the tasks with the refs in a parameter. A null among them has none."""
    named = func.unnest(parameter("refs", ARRAY(Text))).table_valued("ref", name="named").render_derived()
    number = cast(func.split_part(named.c.ref, "-", 2), BigInteger)
    return (
        select(Task.id)
        .select_from(named)
        .join(Project, Project.key == func.split_part(named.c.ref, "-", 1))
        .join(Task, (Task.project_id == Project.id) & (Task.number == number))
        .correlate(None)
    )


def key_parameters(key: TaskKey) -> dict[str, Any]:
    return {"ref": key} if isinstance(key, str) else {"task_id": key}


def keys_parameters(keys: Iterable[TaskKey | None]) -> dict[str, list[Any]]:
    """The keys as two arrays of the same length: an id or a ref at each place, or neither."""
    listed = list(keys)
    return {
        "ids": [key if isinstance(key, int) else None for key in listed],
        "refs": [key if isinstance(key, str) else None for key in listed],
    }


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
