"""The SQL of subtasks: a parent, and everything below a task."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import BigInteger, select, text
from sqlalchemy.orm import Session, aliased

from app.auth.actor import Actor
from app.database.prepared import PlannedOnce, Prepared, parameter
from app.models.tasks.fields import ACTIVE_STATUSES
from app.models.tasks.task import Task
from app.queries.tasks import TaskKey
from app.repositories.scope import anybody_like, scope_parameters
from app.repositories.tasks.rows import is_deleted, is_task, key_parameters, visible_to
from app.repositories.tasks.write import LOCKED_COLUMNS, TaskRepository, locked_task, tree_problems

# The triggers that keep a tree in one project check each statement, and a move takes several.
_DEFER_CHECK = text("SET CONSTRAINTS check_task_tree DEFERRED")
_CHECK = text("SET CONSTRAINTS check_task_tree IMMEDIATE")
_CHECK_DELETIONS = text("SET CONSTRAINTS check_deleted_task IMMEDIATE")


@dataclass(frozen=True, slots=True)
class TreeRow:
    """A task above or below another one, as it is read without a lock."""

    id: int
    parent_id: int | None
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

    def list_around(
        self, task_ids: Collection[int], heads: Collection[int], *, locking: Collection[int]
    ) -> Sequence[TreeRow]:
        """List these tasks and those above them, and the heads and all tasks below those. Deleted ones count too.

        Before it looks, it locks the trees of the projects `locking` until the commit. The triggers take the same locks
        one after the other, so whoever needs several takes them here first, in order.
        """
        values = {"ids": [*task_ids, *heads], "heads": [*heads], "locking": [*locking]}
        return [
            TreeRow(
                row.id,
                row.parent_id,
                row.project_id,
                row.number,
                row.status in ACTIVE_STATUSES and row.deleted_at is None,
                row.deleted_at is not None,
            )
            for row in self._session.execute(_AROUND, values)
        ]

    def save(self, tasks: Sequence[Task], *, at: datetime) -> None:
        for task in tasks:
            self._tasks.save_if_changed(task, at=at)

    def check_deletions(self) -> None:
        """Raises ChangesCollidedError if somebody has put a task below one that was deleted. Call it at the end."""
        with tree_problems():
            self._session.execute(_CHECK_DELETIONS)

    def defer_check(self) -> None:
        self._session.execute(_DEFER_CHECK)

    def check(self) -> None:
        """Raises what `tree_problems` raises."""
        with tree_problems():
            self._session.execute(_CHECK)


@cache
def _parent(actor: Actor, by_ref: bool) -> PlannedOnce:
    statement = select(Task.id).where(is_task(by_ref=by_ref), visible_to(actor), is_deleted(False))
    return PlannedOnce(statement.where(Task.project_id == parameter("project_id", BigInteger)))


# Statements in one round trip: the last one sees what was committed until the one before had the locks. Deletions are
# checked by the statement that saves them, since it saves all tasks at once. A tree has three levels. With arrays of
# ids, PostgreSQL looks up each task by an index, however many there are.
_AROUND = text("""
    SET CONSTRAINTS check_deleted_task IMMEDIATE;
    SELECT lock_trees(CAST(:locking AS bigint[]));
    WITH near AS (
        SELECT ARRAY(SELECT parent_id FROM tasks WHERE id = ANY (CAST(:ids AS bigint[])) AND parent_id IS NOT NULL)
                   AS parents,
               ARRAY(SELECT id FROM tasks WHERE parent_id = ANY (CAST(:heads AS bigint[]))) AS children
    ), far AS (
        SELECT ARRAY(SELECT parent_id FROM tasks WHERE id = ANY (parents) AND parent_id IS NOT NULL) AS grandparents,
               ARRAY(SELECT id FROM tasks WHERE parent_id = ANY (children)) AS grandchildren
          FROM near
    )
    SELECT id, parent_id, project_id, number, status, deleted_at FROM tasks
     WHERE id = ANY (CAST(:ids AS bigint[])
                     || (SELECT parents || children || grandparents || grandchildren FROM near, far))
""")


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
