"""The SQL of subtasks: a parent, and everything below a task."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import BigInteger, select, text, union_all
from sqlalchemy.orm import Session, aliased

from app.auth.actor import Actor
from app.database.prepared import PlannedOnce, Prepared, is_among, parameter
from app.models.tasks.fields import ACTIVE_STATUSES
from app.models.tasks.task import Task
from app.queries.tasks import TaskKey
from app.repositories.scope import anybody_like, scope_parameters
from app.repositories.tasks.rows import is_deleted, is_task, key_parameters, visible_to
from app.repositories.tasks.write import LOCKED_COLUMNS, TaskRepository, locked_task, tree_problems

# The triggers that keep a tree in one project check each statement, and a move takes several.
_DEFER_CHECK = text("SET CONSTRAINTS check_task_tree DEFERRED")
_CHECK = text("SET CONSTRAINTS check_task_tree IMMEDIATE")


@dataclass(frozen=True, slots=True)
class SubtaskRow:
    """A task below another one, as it is read without a lock."""

    id: int
    project_id: int
    number: int
    is_active: bool
    is_deleted: bool


class TaskTreeRepository:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._tasks = TaskRepository(session)

    def find_parent_id(self, actor: Actor, key: TaskKey, project_id: int) -> int | None:
        """The id of a task that is not deleted, if the actor may see it and it is in the project."""
        values = {**key_parameters(key), **scope_parameters(actor), "project_id": project_id}
        rows = _parent(anybody_like(actor), isinstance(key, str)).rows(self._session, values)
        return rows[0].id if rows else None

    def lock_below(self, task_id: int, *, include_deleted: bool = False) -> Sequence[Task]:
        """The tasks on all levels below a task, in the order of their ids, locked until the commit."""
        rows = _below(include_deleted).rows(self._session, {"task_id": task_id})
        return [locked_task(row) for row in rows]

    def list_below(self, task_ids: Collection[int]) -> Mapping[int, Sequence[SubtaskRow]]:
        """List the tasks on all levels below each of these tasks, including deleted ones."""
        below: dict[int, list[SubtaskRow]] = defaultdict(list)
        for row in _ALL_BELOW.rows(self._session, {"task_ids": [*task_ids]}):
            is_deleted = row.deleted_at is not None
            is_active = row.status in ACTIVE_STATUSES and not is_deleted
            below[row.head_id].append(SubtaskRow(row.id, row.project_id, row.number, is_active, is_deleted))
        return below

    def save(self, tasks: Sequence[Task], *, at: datetime) -> None:
        for task in tasks:
            self._tasks.save_if_changed(task, at=at)

    def defer_check(self) -> None:
        self._session.execute(_DEFER_CHECK)

    def check(self) -> None:
        """Raises InvalidError for a parent that one of the tasks cannot have."""
        with tree_problems():
            self._session.execute(_CHECK)


@cache
def _parent(actor: Actor, by_ref: bool) -> PlannedOnce:
    statement = select(Task.id).where(is_task(by_ref=by_ref), visible_to(actor), is_deleted(False))
    return PlannedOnce(statement.where(Task.project_id == parameter("project_id", BigInteger)))


def _all_below() -> Prepared:
    child, grandchild = aliased(Task), aliased(Task)
    columns = ("id", "project_id", "number", "status", "deleted_at")
    is_head = is_among(child.parent_id, "task_ids")
    children = select(child.parent_id.label("head_id"), *(getattr(child, name) for name in columns))
    grandchildren = select(child.parent_id.label("head_id"), *(getattr(grandchild, name) for name in columns))
    grandchildren = grandchildren.join(child, child.id == grandchild.parent_id)
    below = union_all(
        children.where(is_head),
        grandchildren.where(is_head),
    ).subquery("below")
    return Prepared(select(below).order_by(below.c.head_id, below.c.id))


_ALL_BELOW = _all_below()


@cache
def _below(include_deleted: bool) -> Prepared:
    """A tree has three levels, so there are at most two below a task."""
    child, grandchild = aliased(Task), aliased(Task)
    children = select(child.id).where(child.parent_id == parameter("task_id", BigInteger))
    grandchildren = select(grandchild.id).where(grandchild.parent_id.in_(children))
    statement = select(*LOCKED_COLUMNS).where(Task.id.in_(children.union_all(grandchildren)))
    if not include_deleted:
        statement = statement.where(is_deleted(False))
    return Prepared(statement.order_by(Task.id).with_for_update(key_share=True))
