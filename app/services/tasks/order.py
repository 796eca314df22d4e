"""How tasks are moved on the board: to another column, to another place, or both. See docs/adr/029."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn, TypedDict

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Calendar
from app.database.unit_of_work import UnitOfWork
from app.errors import ChangesCollidedError, InvalidError, StatusChangedError, TaskTrackerError, not_found
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from app.queries.pages import Precondition, ensure_unchanged
from app.queries.tasks import TaskKey, TaskView
from app.repositories.tasks.order import ColumnKey, OrderRepository, Place, Surroundings
from app.repositories.tasks.write import TaskRepository
from app.services.tasks.columns import Column, Stretch
from app.services.tasks.tree import TaskTree
from app.services.tasks.write import publish_change

# How many neighbours on each side of a place are read: one, and more only where positions have become scarce.
NEIGHBOURS = (1, 64, 4_096, 1_000_000_000)
RETRY_AFTER_SECONDS = 1


class TaskMove(TypedDict, total=False):
    """Where a task shall stand. At most one of `after` and `before` is present; None means the very top or bottom.

    Without either, a task with a new status goes to the top of its new column, and any other task stays.
    """

    status: TaskStatus
    after: TaskKey | None
    before: TaskKey | None
    expected_status: TaskStatus


@dataclass(slots=True)
class Moving:
    """A locked task and its move. `error` says why it cannot be moved; the task must not be saved then."""

    task: Task
    move: TaskMove
    error: TaskTrackerError | None = None
    # The task's status and position before the move.
    status: TaskStatus = field(init=False)
    position: float = field(init=False)

    def __post_init__(self) -> None:
        self.status, self.position = self.task.status, self.task.position

    @property
    def column(self) -> ColumnKey:
        return ColumnKey(self.task.project_id, self.move.get("status", self.status))

    @property
    def stays_in_column(self) -> bool:
        return self.column.status is self.status

    @property
    def side(self) -> str:
        """The field that names the neighbour, or an empty string."""
        return next((side for side in ("after", "before") if side in self.move), "")

    @property
    def has_place(self) -> bool:
        return self.error is None and bool(self.side or not self.stays_in_column)

    @property
    def neighbour(self) -> TaskKey | None:
        return self.move.get("after", self.move.get("before"))

    @property
    def place(self) -> Place:
        return Place(self.column, self.neighbour, is_end=self.side == "before")


class Mover:
    """Moves locked tasks within the transaction of a use case. Each move sees those before it."""

    def __init__(self, order: OrderRepository) -> None:
        self._order = order

    def lock_columns(self, actor: Actor, moves: Sequence[tuple[TaskKey, TaskMove]]) -> set[ColumnKey]:
        """Lock the columns that the tasks move into. Call it once, before any task is locked."""
        return self._order.lock_columns(actor, [(key, move.get("status")) for key, move in moves])

    def move(
        self, moves: Sequence[Moving], locked: Collection[ColumnKey], *, tasks: Mapping[TaskKey, Task], at: datetime
    ) -> None:
        """Set status and position of the tasks, and make room in their columns. A move that fails has an error then.

        `tasks` has all tasks that the caller has locked, by their ids and refs. Raises ChangesCollidedError if somebody
        else has moved one of the tasks or neighbours in the meantime.
        """
        for each in moves:
            if each.error is None:
                _begin(each, locked, at=at)
        placing = [each for each in moves if each.has_place]
        if not placing:
            return
        for count in NEIGHBOURS:
            positions = self._arrange(placing, tasks, count)
            if positions is not None:
                self._write(placing, positions, tasks)
                return

    def _arrange(
        self, moves: Sequence[Moving], tasks: Mapping[TaskKey, Task], count: int
    ) -> dict[ColumnKey, dict[int, float]] | None:
        """The new positions in each column. None if more neighbours must be read for them."""
        surroundings = self._order.list_surroundings(
            [each.place for each in moves], moving=[each.task.id for each in moves], count=count
        )
        columns = _columns_of(moves, surroundings, count)
        for each, around in zip(moves, surroundings, strict=True):
            each.error = _put(each, columns, tasks, around)
        positions = {key: column.place() for key, column in columns.items()}
        if any(each is None for each in positions.values()):
            return None
        return {key: placed for key, placed in positions.items() if placed}

    def _write(
        self,
        moves: Sequence[Moving],
        positions: Mapping[ColumnKey, Mapping[int, float]],
        tasks: Mapping[TaskKey, Task],
    ) -> None:
        for column in sorted(positions, key=lambda key: (key.project_id, key.status)):
            moved = {each.task.id for each in moves if each.error is None and each.column == column}
            others = {task_id: position for task_id, position in positions[column].items() if task_id not in moved}
            for task_id, position in positions[column].items():
                if task_id in tasks:
                    tasks[task_id].position = position
            if others and not self._order.make_room(column, others):
                _collide()


def _begin(moving: Moving, locked: Collection[ColumnKey], *, at: datetime) -> None:
    expected = moving.move.get("expected_status", moving.status)
    if expected is not moving.status:
        moving.error = StatusChangedError(f"the status is {moving.status.value} now, not {expected.value}")
        return
    if moving.column not in locked:
        # Somebody has moved the task since its column was read.
        _collide()
    moving.task.change_status(moving.column.status, at=at)


def _columns_of(moves: Sequence[Moving], surroundings: Sequence[Surroundings], count: int) -> dict[ColumnKey, Column]:
    stretches: dict[ColumnKey, list[Stretch]] = defaultdict(list)
    limits: dict[ColumnKey, float] = {}
    standing: dict[ColumnKey, dict[int, float]] = defaultdict(dict)
    for each, around in zip(moves, surroundings, strict=True):
        edge = [around.edge] if around.edge is not None else []
        limits[each.column] = around.limit
        if each.stays_in_column:
            standing[each.column][each.task.id] = each.position
        if each.neighbour is None or edge:
            tasks = [*reversed(around.above), *edge, *around.below]
            stretches[each.column].append(
                Stretch(tasks, is_first=len(around.above) < count, is_last=len(around.below) < count)
            )
    return {key: Column(stretches[key], standing[key], limit=limit) for key, limit in limits.items()}


def _put(
    moving: Moving, columns: Mapping[ColumnKey, Column], tasks: Mapping[TaskKey, Task], around: Surroundings
) -> InvalidError | None:
    """Put the task into its place. Returns the error if there is no such place."""
    task_id, column, neighbour = moving.task.id, columns[moving.column], moving.neighbour
    edge_id = None
    if neighbour is not None:
        edge_id = around.edge[1] if around.edge is not None else None
        if neighbour in tasks:
            # The request may have moved it into the column before.
            edge_id = tasks[neighbour].id
        if edge_id == task_id:
            return InvalidError.of(moving.side, "is the task itself")
        if edge_id is None or edge_id not in column:
            return InvalidError.of(
                moving.side, f"there is no task {neighbour} in the column {moving.column.status.value} of the project"
            )
    for each in columns.values():
        each.remove(task_id)
    if edge_id is None:
        (column.put_last if moving.side == "before" else column.put_first)(task_id)
    else:
        (column.put_before if moving.side == "before" else column.put_after)(task_id, edge_id)
    return None


def _collide() -> NoReturn:
    raise ChangesCollidedError(
        "somebody else has moved one of these tasks in the meantime; try again", retry_after_seconds=RETRY_AFTER_SECONDS
    )


class OrderService:
    def __init__(
        self, uow: UnitOfWork, tasks: TaskRepository, tree: TaskTree, mover: Mover, calendar: Calendar
    ) -> None:
        self._uow = uow
        self._tasks = tasks
        self._tree = tree
        self._mover = mover
        self._calendar = calendar

    def move(
        self,
        actor: Actor,
        key: TaskKey,
        move: TaskMove,
        *,
        may_overwrite: Precondition | None = None,
        cascade: bool = False,
    ) -> TaskView:
        """Move a task on the board. If it stands there already, it keeps its version.

        Raises StatusChangedError if the task does not have the expected status, InvalidError if the neighbour is not
        another task of the column, and OpenSubtasksError if the move would close a task above open ones, unless it is
        to `cascade`.
        """
        with self._uow.transaction(by=actor):
            columns = self._mover.lock_columns(actor, [(key, move)])
            task = self._tasks.get_for_update(actor, key) or not_found("task", key)
            ensure_may(actor, Permission.TASK_UPDATE, task)
            ensure_unchanged("task", task, may_overwrite)
            moving, was_active, now = Moving(task, move), task.is_active, self._calendar.now()
            self._mover.move([moving], columns, tasks={task.id: task}, at=now)
            if moving.error is not None:
                raise moving.error
            if was_active and not task.is_active:
                for closed in self._tree.close_below(task, cascade=cascade, at=now):
                    publish_change(self._uow, closed)
            view = self._tasks.save_if_changed(task, at=now)
            if view is None:
                return self._tasks.get_view(actor, task.id, include_deleted=False) or not_found("task", key)
            publish_change(self._uow, task)
            return view
