"""The SQL of single tasks: finding, locking and adding them, and reading them as JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import BigInteger, Text, all_, any_, cast, func, insert, inspect, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased
from sqlalchemy.orm.attributes import instance_dict

from app.auth.actor import Actor
from app.database.engine import ensure_signed, violated_constraint
from app.database.prepared import DIALECT, PlannedOnce, Prepared, parameter
from app.errors import ChangesCollidedError, InvalidError, ParentDeletedError, TaskTrackerError
from app.models.projects.project import Project
from app.models.tasks.fields import ACTIVE_STATUSES, FIELDS, MAX_LEVELS, VERSIONED_COLUMNS
from app.models.tasks.task import Task
from app.queries.pages import Shape
from app.queries.tasks import WHOLE_TASK, Selection, TaskKey, TaskView
from app.repositories.pages import AnySelect, json_text, shaped_text
from app.repositories.scope import anybody_like, scope_parameters
from app.repositories.tasks.rows import (
    TASK_FIELDS,
    TaskEntity,
    counts_of,
    ids_of_refs,
    is_deleted,
    is_task,
    key_parameters,
    keys_parameters,
    ref_of,
    task_fields,
    visible_to,
    with_names,
    with_subtasks,
)

# The fields that need no join.
_JOINLESS_FIELDS = {field.name: TASK_FIELDS[field.name] for field in FIELDS if not field.column}


TOO_MANY_LEVELS = f"would put the task below itself, or have more than {MAX_LEVELS} levels"
OTHER_PROJECT = "is in another project"
PARENT_DELETED = "the task above is deleted; restore it first, or name another parent"
RETRY_AFTER_SECONDS = 1
# The constraints of the triggers of trees.
_TREE_ERRORS: dict[str, Callable[[], TaskTrackerError]] = {
    "ck_tasks_tree_levels": lambda: InvalidError.of("parent", TOO_MANY_LEVELS),
    "ck_tasks_tree_project": lambda: InvalidError.of("parent", OTHER_PROJECT),
    "ck_tasks_tree_parent": lambda: ParentDeletedError(PARENT_DELETED),
    "ck_tasks_tree_children": lambda: ChangesCollidedError(
        "somebody else has put a task below one that is deleted; try again", retry_after_seconds=RETRY_AFTER_SECONDS
    ),
}

# The statements that a process keeps: one for each set of changed columns, and one for each selection of fields.
MAX_UPDATES = 128
MAX_SELECTIONS = 128


@contextmanager
def tree_problems() -> Iterator[None]:
    """Translate what the triggers of trees refuse.

    Raises InvalidError for a parent that a task cannot have, ParentDeletedError for one that is deleted, and
    ChangesCollidedError if a task has been put below one that this transaction deletes.
    """
    try:
        yield
    except IntegrityError as error:
        problem = _TREE_ERRORS.get(violated_constraint(error) or "")
        if problem is None:
            raise
        raise problem() from error


class TaskRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get_for_update(self, actor: Actor, key: TaskKey, *, deleted: bool = False) -> Task | None:
        """A task with its current values, locked until the commit. Save it with `save_if_changed`, not with a flush."""
        values = {**key_parameters(key), **scope_parameters(actor)}
        rows = _locked(anybody_like(actor), deleted, isinstance(key, str)).rows(self._session, values)
        return locked_task(rows[0]) if rows else None

    def list_for_update(self, actor: Actor, keys: Sequence[TaskKey]) -> Mapping[TaskKey, Task]:
        """Each of these tasks under its id and its ref, deleted ones too, with current values.

        One statement locks them in the order of their ids, until the commit, so that two requests do not wait for
        each other in a circle. A task that the actor may not see is absent. A task that is named by a former ref
        stands under that, too, after its present ref.
        """
        scope = scope_parameters(actor)
        locked: dict[TaskKey, Task] = {}
        for row in _all_locked(anybody_like(actor)).rows(self._session, {**keys_parameters(keys), **scope}):
            locked[row.id] = locked[row.ref] = locked_task(row[: len(_LOCKED)])
        missing = [key for key in keys if isinstance(key, str) and key not in locked]
        if missing:
            for row in _IDS_OF_FORMER_REFS.rows(self._session, {"refs": missing}):
                if row.id in locked:
                    locked[row.former_ref] = locked[row.id]
        return locked

    def add(self, task: Task) -> TaskView:
        return self._write(_INSERT, {name: getattr(task, name) for name in _INSERTED})

    def save_if_changed(self, task: Task, *, at: datetime) -> TaskView | None:
        """Save what has changed in a locked task. None if nothing has; the task keeps its version then."""
        state = inspect(task)
        changed = sorted(name for name in state.committed_state if state.attrs[name].history.has_changes())
        if not changed:
            return None
        values = {"id": task.id, "updated_at": at, **{name: getattr(task, name) for name in changed}}
        return self._write(_update(tuple(changed)), values)

    def _write(self, statement: PlannedOnce, values: dict[str, Any]) -> TaskView:
        """Run a statement that writes a task. As for a flush, the transaction must have an actor.

        Raises what `tree_problems` raises.
        """
        ensure_signed(self._session)
        with tree_problems():
            (row,) = statement.write(self._session, values)
        return _view_of(row)

    def get_view(
        self, actor: Actor, key: TaskKey, selection: Selection = WHOLE_TASK, *, include_deleted: bool
    ) -> TaskView | None:
        values = {**key_parameters(key), **scope_parameters(actor)}
        kind = (anybody_like(actor), include_deleted, isinstance(key, str))
        statement = _view(*kind) if selection == WHOLE_TASK else _selected_view(*kind, selection)
        rows = statement.rows(self._session, values)
        return _view_of(rows[0]) if rows else None

    def list_active(self, actor: Actor, shape: Shape, *, after_id: int, limit: int) -> Sequence[Any]:
        """The next active tasks after `after_id` that the actor may see: rows of (id, JSON in this shape).

        A task of an archived project is not active.
        """
        statement = (
            select(Task.id, shaped_text(shape, _JOINLESS_FIELDS).label("json"))
            .where(visible_to(actor), is_deleted(False), Task.status.in_(ACTIVE_STATUSES), Task.id > after_id)
            .where(Task.project_id != all_(parameter("archived_ids", ARRAY(BigInteger))))
            .order_by(Task.id)
            .limit(limit)
        )
        return self._session.execute(statement, {"archived_ids": [*actor.archived_project_ids]}).all()


def _select_view(task: TaskEntity, selection: Selection = WHOLE_TASK) -> AnySelect:
    json = json_text(task_fields(task, selection)).label("json")
    columns = (task.id, task.title, task.version, ref_of(task).label("ref"), *counts_of(task, selection), json)
    return with_subtasks(with_names(select(*columns), task), task, selection)


def _view_of(row: Any) -> TaskView:
    counts = (row.comments, row.subtasks, row.subtasks_done)
    return TaskView(row.json.encode(), row.id, row.version, row.title, row.ref, counts)


_COLUMNS = inspect(Task).columns
_LOCKED = ("id", "updated_at", *VERSIONED_COLUMNS)
LOCKED_COLUMNS = tuple(_COLUMNS[name] for name in _LOCKED)
_KEY = select(Project.key).where(Project.id == Task.project_id).scalar_subquery()
_PRESENT_REF = (_KEY + "-" + cast(Task.number, Text)).label("ref")
# How values of the driver become values of the model, where the two differ.
_CONVERSIONS = {
    name: convert for name in _LOCKED if (convert := _COLUMNS[name].type.result_processor(DIALECT, None)) is not None
}


@cache
def _locked(actor: Actor, deleted: bool, by_ref: bool) -> PlannedOnce:
    statement = select(*LOCKED_COLUMNS).where(is_task(by_ref=by_ref), visible_to(actor))
    # A subtask that is added meanwhile locks the key of its parent, which does not change.
    return PlannedOnce(statement.where(is_deleted(deleted)).with_for_update(key_share=True))


@cache
def _all_locked(actor: Actor) -> Prepared:
    ids = func.array_cat(parameter("ids", ARRAY(BigInteger)), func.array(ids_of_refs().scalar_subquery()))
    statement = select(*LOCKED_COLUMNS, _PRESENT_REF).where(Task.id == any_(ids), visible_to(actor))
    return Prepared(statement.order_by(Task.id).with_for_update(key_share=True))


_FORMER = func.unnest(parameter("refs", ARRAY(Text))).table_valued("former_ref", name="named").render_derived()
_IDS_OF_FORMER_REFS = Prepared(select(_FORMER.c.former_ref, func.id_of_ref(_FORMER.c.former_ref).label("id")))


def locked_task(row: Sequence[Any]) -> Task:
    """A task of LOCKED_COLUMNS that belongs to no session, and knows which of its values change from now on."""
    task = Task()
    # SQLAlchemy takes what stands here for what was loaded. Its `set_committed_value` takes ten times as long.
    values = instance_dict(task)
    values.update(zip(_LOCKED, row, strict=True))
    for name, convert in _CONVERSIONS.items():
        values[name] = convert(values[name])
    return task


@cache
def _view(actor: Actor, include_deleted: bool, by_ref: bool) -> PlannedOnce:
    return PlannedOnce(_select_one(actor, include_deleted, by_ref, WHOLE_TASK))


@lru_cache(maxsize=MAX_SELECTIONS)
def _selected_view(actor: Actor, include_deleted: bool, by_ref: bool, selection: Selection) -> Prepared:
    """There are too many selections for each connection to keep a plan for each."""
    return Prepared(_select_one(actor, include_deleted, by_ref, selection))


def _select_one(actor: Actor, include_deleted: bool, by_ref: bool, selection: Selection) -> AnySelect:
    statement = _select_view(Task, selection).where(is_task(by_ref=by_ref), visible_to(actor))
    return statement if include_deleted else statement.where(is_deleted(False))


# The columns of a new task. The others have defaults of their own.
_INSERTED = (*(name for name in VERSIONED_COLUMNS if name != "version"), "updated_at")


def _written(statement: Any) -> PlannedOnce:
    """The statement with the task that it has written, in one round trip."""
    written = aliased(Task, statement.returning(Task).cte("written"))
    return PlannedOnce(_select_view(written))


_INSERT = _written(insert(Task).values({name: parameter(name, _COLUMNS[name].type) for name in _INSERTED}))


@lru_cache(maxsize=MAX_UPDATES)
def _update(changed: tuple[str, ...]) -> PlannedOnce:
    values = {name: parameter(name, _COLUMNS[name].type) for name in (*changed, "updated_at")}
    statement = (
        update(Task).where(Task.id == parameter("id", BigInteger)).values(values | {"version": Task.version + 1})
    )
    return _written(statement)
