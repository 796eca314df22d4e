"""A task as clients see it, in SQL: its fields, the tables that they come from, and which tasks an actor may see."""

from typing import Any

from sqlalchemy import ColumnElement, Text, cast
from sqlalchemy.orm import aliased
from sqlalchemy.orm.util import AliasedClass

from app.auth.actor import Actor
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.tasks.fields import FIELDS
from app.models.tasks.task import Task
from app.repositories.pages import AnySelect
from app.repositories.scope import is_in_scope

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
