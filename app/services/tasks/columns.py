"""A column of the board in memory, as far as it was loaded: where moved tasks stand in it, and at which positions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.models.tasks.positions import Side, place


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring tasks of a column as (position, id), in order, and whether the column begins or ends with them."""

    tasks: Sequence[tuple[float, int]]
    is_first: bool
    is_last: bool


# Stands for the tasks between two stretches, which are not loaded.
_UNKNOWN = 0


class Column:
    """The loaded stretches of a column, in order."""

    def __init__(self, stretches: Iterable[Stretch], standing: Mapping[int, float], *, limit: float) -> None:
        """Every position that is given stays below `limit`, if those before it do.

        `standing` has the positions of tasks that are moved within the column. A task that would be moved to where it
        stands keeps its position.
        """
        self._limit = limit
        self._standing = standing
        self._positions: dict[int, float] = {}
        self._moved: set[int] = set()
        self._order: list[int] = []
        joined = _joined(stretches)
        for number, stretch in enumerate(joined):
            if number > 0 or not stretch.is_first:
                self._order.append(_UNKNOWN)
            self._order += [task_id for _, task_id in stretch.tasks]
            self._positions |= {task_id: position for position, task_id in stretch.tasks}
        if joined and not joined[-1].is_last:
            self._order.append(_UNKNOWN)

    def __contains__(self, task_id: int) -> bool:
        return task_id in self._positions or task_id in self._moved

    def remove(self, task_id: int) -> None:
        if task_id in self:
            self._order.remove(task_id)
            self._positions.pop(task_id, None)
            self._moved.discard(task_id)

    def put_first(self, task_id: int) -> None:
        self._insert(0, task_id)

    def put_last(self, task_id: int) -> None:
        self._insert(len(self._order), task_id)

    def put_after(self, task_id: int, neighbour_id: int) -> None:
        self._insert(self._order.index(neighbour_id) + 1, task_id)

    def put_before(self, task_id: int, neighbour_id: int) -> None:
        self._insert(self._order.index(neighbour_id), task_id)

    def _insert(self, index: int, task_id: int) -> None:
        self._order.insert(index, task_id)
        self._moved.add(task_id)

    def place(self) -> dict[int, float] | None:
        """The new positions of the moved tasks, and of the neighbours that had to make room.

        None if more of the column must be loaded for it. The tasks that have a position stay as they are then.
        """
        positions = dict(self._positions)
        changed: dict[int, float] = {}
        for run in self._runs():
            above = self._side(run[0] - 1, -1, positions)
            below = self._side(run[-1] + 1, 1, positions)
            if len(run) == 1 and self._stands(self._order[run[0]], above, below, positions):
                positions[self._order[run[0]]] = self._standing[self._order[run[0]]]
                continue
            sides = [Side([positions[each] for each in side], is_whole) for side, is_whole in (above, below)]
            placement = place(sides[0], len(run), sides[1], limit=self._limit)
            if placement is None:
                return None
            moved = [self._order[index] for index in run]
            for ids, new in (
                (moved, placement.placed),
                (above[0], placement.above),
                (below[0], placement.below),
            ):
                changed |= dict(zip(ids, new, strict=False))
            positions |= changed
        return changed

    def _stands(
        self,
        task_id: int,
        above: tuple[list[int], bool],
        below: tuple[list[int], bool],
        positions: Mapping[int, float],
    ) -> bool:
        """True if the task is where it shall be."""
        position = self._standing.get(task_id)
        if position is None:
            return False
        lower, upper = (positions[side[0][0]] if side[0] else None for side in (above, below))
        return (lower is None or lower < position) and (upper is None or position < upper)

    def _runs(self) -> Iterator[list[int]]:
        """The indexes of moved tasks that stand next to each other."""
        run: list[int] = []
        for index, task_id in enumerate(self._order):
            if task_id in self._moved:
                run.append(index)
            elif run:
                yield run
                run = []
        if run:
            yield run

    def _side(self, index: int, step: int, positions: dict[int, float]) -> tuple[list[int], bool]:
        """The tasks on one side that have a position, nearest first, and whether there are no others."""
        ids: list[int] = []
        while 0 <= index < len(self._order) and self._order[index] != _UNKNOWN:
            # A moved task without a position gets one later.
            if self._order[index] in positions:
                ids.append(self._order[index])
            index += step
        return ids, not 0 <= index < len(self._order)


def _joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The stretches in order. Those that share a task are joined."""
    by_first = sorted(stretches, key=lambda stretch: list(stretch.tasks[:1]))
    if by_first and not by_first[0].tasks:
        # Without the moved tasks the column is empty, so every stretch is the whole column.
        return [Stretch(sorted({task for each in by_first for task in each.tasks}), is_first=True, is_last=True)]
    joined: list[Stretch] = []
    for stretch in by_first:
        if joined and stretch.tasks[0] <= joined[-1].tasks[-1]:
            before = joined.pop()
            tasks = sorted({*before.tasks, *stretch.tasks})
            joined.append(Stretch(tasks, before.is_first or stretch.is_first, before.is_last or stretch.is_last))
        else:
            joined.append(stretch)
    return joined
