"""Positions between positions: 100,000 moves keep the order that a list would have."""

import random
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.tasks.positions import Side, place

MOVES = 100_000
TASKS = 1_000
LARGEST = sys.float_info.max


class TestManyMoves:
    @pytest.mark.parametrize("kind", ["anywhere", "below the first", "to the top", "to the bottom", "to the middle"])
    def test_keep_the_order_of_a_list(self, kind):
        column, moved, pushed = ListedColumn(TASKS), random.Random(1), 0  # noqa: S311
        for number in range(1, MOVES + 1):
            source = moved.randrange(TASKS)
            target = {
                "anywhere": moved.randrange(TASKS),
                "below the first": 1,
                "to the top": 0,
                "to the bottom": TASKS - 1,
                "to the middle": TASKS // 2,
            }[kind]
            pushed += column.move(source, target)
            if number % 5_000 == 0:
                assert column.has_the_order_of_its_list()

        # A move changes few other tasks, even if all moves lead to one place.
        assert pushed < 8 * MOVES


class TestPlace:
    @given(
        positions=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30).map(sorted),
        index=st.integers(0, 30),
        count=st.integers(1, 20),
        limit=st.integers(1, 2**53),
    )
    def test_a_whole_column_has_room_wherever_its_tasks_stand(self, positions, index, count, limit):
        index = min(index, len(positions))
        above, below = Side(positions[:index][::-1], is_whole=True), Side(positions[index:], is_whole=True)

        placement = place(above, count, below, limit=float(limit))

        changed_above, changed_below = len(placement.above), len(placement.below)
        here = [*reversed(placement.above), *placement.placed, *placement.below]
        outside = positions[: index - changed_above], positions[index + changed_below :]
        in_order = [*outside[0][-1:], *here, *outside[1][:1]]
        assert len(placement.placed) == count
        assert all(first < second for first, second in pairwise(in_order))
        assert all(abs(each) <= LARGEST for each in here)
        if not outside[1] and (not outside[0] or outside[0][-1] < limit):
            assert here[-1] < limit

    def test_nothing_is_said_of_what_is_not_known(self):
        unknown = Side([1.0], is_whole=False)

        assert place(unknown, 1, Side([1.0], is_whole=False), limit=9.0) is None
        assert place(Side([], is_whole=False), 1, Side([], is_whole=True), limit=9.0) is None

    def test_a_gap_is_halved_and_nobody_else_moves(self):
        placement = place(Side([1.0], is_whole=False), 1, Side([2.0], is_whole=False), limit=9.0)

        assert (placement.placed, placement.above, placement.below) == ([1.5], [], [])


class ListedColumn:
    """A column that knows the order in which its tasks should stand."""

    def __init__(self, count):
        self.order = list(range(count))
        self.tasks = [(float(number + 1), number) for number in self.order]
        self.limit = float(count + 1)

    def move(self, source, target):
        """Return how many other tasks got another position."""
        _, number = self.tasks.pop(source)
        assert self.order.pop(source) == number
        self.order.insert(target, number)
        placement = None
        for count in (1, 64, len(self.tasks) + 1):
            above = [position for position, _ in reversed(self.tasks[max(0, target - count) : target])]
            below = [position for position, _ in self.tasks[target : target + count]]
            sides = [Side(side, is_whole=len(side) < count) for side in (above, below)]
            placement = placement or place(sides[0], 1, sides[1], limit=self.limit)
        for distance, position in enumerate(placement.above, start=1):
            self.tasks[target - distance] = (position, self.tasks[target - distance][1])
        for distance, position in enumerate(placement.below):
            self.tasks[target + distance] = (position, self.tasks[target + distance][1])
        self.tasks.insert(target, (placement.placed[0], number))
        return len(placement.above) + len(placement.below)

    def has_the_order_of_its_list(self):
        positions = [position for position, _ in self.tasks]
        is_strict = all(first < second for first, second in pairwise(positions))
        return is_strict and positions[-1] < self.limit and [number for _, number in self.tasks] == self.order
