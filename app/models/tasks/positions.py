"""Where tasks stand in a column: positions between those of their neighbours.

A column is the tasks of one project that have one status, by position and id. Positions are doubles, so there is nearly
always one between two others. Where there is none left, some neighbours are spread out too: as few as it takes to make
their gaps wide again, so a move in a large column costs no more than one in a small column.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# After neighbours were spread out, each gap between them can be halved at least this often, and once more for each
# doubling of their number. Without the latter, moves to one place would soon spread out thousands each time.
HALVINGS = 20
# The neighbours that are spread out first, on each side. Their number is doubled until the gaps are wide enough.
FIRST_NEIGHBOURS = 4
# A task that is placed last takes this part of the gap to the limit. Half of it would use the gap up after fifty tasks.
PART_OF_LAST_GAP = 1 / 1024


@dataclass(frozen=True, slots=True)
class Side:
    """The positions on one side of a place, nearest first. `is_whole` if there are no others on this side."""

    positions: Sequence[float]
    is_whole: bool

    def knows(self, count: int) -> bool:
        """True if it is known what stands beyond the nearest `count` positions: another one, or the end."""
        return self.is_whole or count < len(self.positions)

    def beyond(self, count: int) -> float | None:
        """The position beyond the nearest `count`; None for the end of the column."""
        return self.positions[count] if count < len(self.positions) else None


@dataclass(frozen=True, slots=True)
class Placement:
    """The positions of the placed tasks, and the new ones of their neighbours above and below, nearest first."""

    placed: Sequence[float]
    above: Sequence[float] = ()
    below: Sequence[float] = ()


def place(above: Side, count: int, below: Side, *, limit: float) -> Placement | None:
    """Positions for `count` tasks between two sides of a column. None if more of the column must be known for it.

    The last position of a column stays below `limit` as long as those before it do. A task that is created then, whose
    position is not below the limit, stands last.
    """
    spread_out = 0
    while above.knows(spread_out) and below.knows(spread_out):
        taken_above = min(spread_out, len(above.positions))
        taken_below = min(spread_out, len(below.positions))
        positions = _spread(
            above.beyond(taken_above),
            taken_above + count + taken_below,
            below.beyond(taken_below),
            limit=limit,
            halvings=HALVINGS + spread_out.bit_length() if spread_out else 1,
        )
        if positions is not None:
            return Placement(
                placed=positions[taken_above : taken_above + count],
                above=positions[:taken_above][::-1],
                below=positions[taken_above + count :],
            )
        spread_out = max(FIRST_NEIGHBOURS, 2 * spread_out)
    return None


def _spread(
    first: float | None, count: int, last: float | None, *, limit: float, halvings: int
) -> Sequence[float] | None:
    """Positions between two others, or beyond one of them. None if a gap could not be halved that often."""
    if first is None:
        edge = limit if last is None else last
        step = max(1.0, _narrowest(halvings, edge))
        positions = [edge - step * n for n in range(count, 0, -1)]
        in_order = [*positions, edge]
    elif last is None and first >= limit:
        step = max(1.0, _narrowest(halvings, first))
        positions = [first + step * n for n in range(1, count + 1)]
        in_order = [first, *positions]
    else:
        part = 1 / (count + 1)
        if last is None:
            last, part = limit, min(part, PART_OF_LAST_GAP)
        # Not a part of the difference, which may be infinite.
        step = last * part - first * part
        if step < _narrowest(halvings, first, last):
            return None
        positions = [first + step * n for n in range(1, count + 1)]
        in_order = [first, *positions, last]
    is_strict = all(before < after for before, after in pairwise(in_order))
    return positions if is_strict and all(map(math.isfinite, positions)) else None


def _narrowest(halvings: int, *edges: float) -> float:
    """The narrowest gap that can be halved this often between positions of this size."""
    return math.ulp(max(map(abs, edges))) * 2.0 ** (halvings - 1)
