"""A task as clients see it, in SQL: its fields, the tables that they come from, and which tasks an actor may see."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    ScalarSelect,
    Text,
    case,
    cast,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlalchemy.orm.util import AliasedClass

from app.auth.actor import Actor
from app.auth.permissions import sees_deleted
from app.database.prepared import parameter
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.tasks.fields import FIELDS, TaskStatus
from app.models.tasks.former_ref import FormerRef
from app.models.tasks.task import Task
from app.models.tasks.version import TaskVersion
from app.queries.tasks import WHOLE_TASK, Selection, TaskKey
from app.repositories.pages import AnySelect, json_object
from app.repositories.scope import is_in_scope

Assignee = aliased(User, name="assignee")
Creator = aliased(User, name="creator")

# Task, or a stand-in that has each task's version at some instant.
TaskEntity = type[Task] | AliasedClass[Task]
# The instant of a list of the past.
AS_OF = parameter("as_of", Task.updated_at.type)

# Columns of what `with_subtasks` joins.
_SUBTASK_COUNT = literal_column("subtasks.count", BigInteger)
_SUBTASKS_DONE = literal_column("subtasks.done", BigInteger)
_OF_SUBTASKS = frozenset({"subtask_count", "subtasks_done", "progress"})

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


def _parent_number(task: TaskEntity, *, is_as_of: bool) -> ScalarSelect[int]:
    """The number of the task's parent. PostgreSQL plans a subquery faster than another join with the many indexes."""
    parent: Any = aliased(TaskVersion if is_as_of else Task, name="parent")
    parent_id = parent.task_id if is_as_of else parent.id
    is_parent = (parent_id == task.parent_id, *_is_version_of_then(parent, is_as_of=is_as_of))
    return select(parent.number).where(*is_parent).correlate(task).scalar_subquery()


def _is_version_of_then(version: Any, *, is_as_of: bool) -> list[ColumnElement[bool]]:
    return [version.valid_from <= AS_OF, version.valid_to > AS_OF] if is_as_of else []


def task_fields(task: TaskEntity, selection: Selection = WHOLE_TASK, *, is_as_of: bool = False) -> dict[str, Any]:
    """A task as clients see it. `schemas/tasks/answers.py` documents these fields, and a test compares the two."""
    by_name = {
        "ref": ref_of(task),
        "project": Project.key,
        "creator": Creator.username,
        "assignee": Assignee.username,
        # A subtask is in its parent's project.
        "parent": Project.key + "-" + cast(_parent_number(task, is_as_of=is_as_of), Text),
        "subtask_count": _SUBTASK_COUNT,
        "subtasks_done": _SUBTASKS_DONE,
        "progress": cast(func.floor(100 * _SUBTASKS_DONE / func.nullif(_SUBTASK_COUNT, 0)), Integer),
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


def ids_of_refs() -> AnySelect:
    """The ids of the tasks that have or had the refs in a parameter. A null among them has none."""
    named = func.unnest(parameter("refs", ARRAY(Text))).table_valued("ref", name="named").render_derived()
    number = cast(func.split_part(named.c.ref, "-", 2), BigInteger)
    # PostgreSQL looks for a former ref only if there is no present one.
    before = select(FormerRef.task_id).where(FormerRef.project_id == Project.id, FormerRef.number == number)
    return (
        select(func.coalesce(Task.id, before.correlate(Project, named).scalar_subquery()))
        .select_from(named)
        .join(Project, Project.key == func.split_part(named.c.ref, "-", 1))
        .outerjoin(Task, (Task.project_id == Project.id) & (Task.number == number))
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


def visible_task_id(actor: Actor, *, by_ref: bool) -> ScalarSelect[int]:
    """The id of the task of `key_parameters`, or None if the actor may not see it: for reading what belongs to it."""
    statement = select(Task.id).where(is_task(by_ref=by_ref), visible_to(actor))
    if not sees_deleted(actor):
        statement = statement.where(is_deleted(False))
    return statement.correlate(None).scalar_subquery()


def with_names(statement: AnySelect, task: TaskEntity = Task) -> AnySelect:
    """Join the tables that `task_fields` takes names from."""
    return (
        statement.join_from(task, Project, Project.id == task.project_id)
        .join(Creator, Creator.id == task.creator_id)
        .outerjoin(Assignee, Assignee.id == task.assignee_id)
    )


def counts_of(task: TaskEntity, selection: Selection = WHOLE_TASK) -> tuple[ColumnElement[int], ...]:
    """The numbers of a task's comments, subtasks and subtasks that are done, as far as the answer may show them."""
    shown = _shows_subtasks(selection)
    count, done = (_SUBTASK_COUNT, _SUBTASKS_DONE) if shown else (literal_column("0"), literal_column("0"))
    return task.comment_count.label("comments"), count.label("subtasks"), done.label("subtasks_done")


def _shows_subtasks(selection: Selection) -> bool:
    return not (selection.fields and _OF_SUBTASKS.isdisjoint(selection.fields))


def with_subtasks(
    statement: AnySelect, task: TaskEntity = Task, selection: Selection = WHOLE_TASK, *, is_as_of: bool = False
) -> AnySelect:
    """Count the subtasks of each task, unless no selected field needs them. A cancelled one does not count."""
    if not _shows_subtasks(selection):
        return statement
    subtask: Any = aliased(TaskVersion if is_as_of else Task, name="subtask")
    counts = select(
        func.count().label("count"), func.count().filter(subtask.status == TaskStatus.DONE).label("done")
    ).where(
        subtask.parent_id == task.id,
        subtask.deleted_at.is_(None),
        subtask.status != TaskStatus.CANCELLED,
        *_is_version_of_then(subtask, is_as_of=is_as_of),
    )
    return statement.join(counts.lateral("subtasks"), true())
