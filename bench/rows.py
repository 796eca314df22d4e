"""A row of the table: two figures, their ratio, the goal for it, and details of both sides."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Goal:
    """A bound of the ratio, which is `≥` or `≤` the limit."""

    sign: str
    limit: float

    def is_met(self, ratio: float) -> bool:
        return ratio >= self.limit if self.sign == "≥" else ratio <= self.limit

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}"


def at_least(limit: float) -> Goal:
    return Goal("≥", limit)


def at_most(limit: float) -> Goal:
    return Goal("≤", limit)


@dataclass(frozen=True)
class Row:
    """Each detail is a pair, ours first, or a single figure."""

    what: str
    against: str
    ours: float
    theirs: float
    unit: str
    ratio: float
    goal: Goal | None = None
    details: Mapping[str, tuple[float, float] | float] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        return self.goal is None or self.goal.is_met(self.ratio)

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "goal": self.goal and str(self.goal), "is_met": self.is_met}


def limit_row(what: str, ours: float, limit: float, unit: str, **details: tuple[float, float] | float) -> Row:
    """Compare a figure with a fixed limit instead of another program's figure."""
    return Row(what, "a limit", ours, limit, unit, ours / limit, at_most(1), details)


def figure_row(what: str, ours: float, unit: str, **details: tuple[float, float] | float) -> Row:
    """Show a figure that has no goal and nothing to compare it with."""
    return Row(what, "", ours, ours, unit, 1.0, None, details)


def times_row(what: str, against: str, ours: float, theirs: float, limit: float) -> Row:
    """Compare two durations in seconds. Ours may take `limit` times as long."""
    return Row(what, against, ours * 1000, theirs * 1000, "ms", ours / theirs, at_most(limit))


def rate_row(what: str, against: str, count: int, ours: float, theirs: float, goal: float) -> Row:
    """Compare how many rows a second were written. Both durations are in seconds."""
    return Row(f"{what} of {count:,}", against, count / ours, count / theirs, "rows/s", theirs / ours, at_least(goal))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (the nearest rank). 0 without values."""
    if not values:
        return 0.0
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(0, int(rank) - 1)]
