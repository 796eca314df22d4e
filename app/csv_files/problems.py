"""Which problems does a file have most often? Equal ones are counted together, so a line may stand for many rows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.csv_files.rows import RefusedRow

# The groups that are counted while a file is read. Where there are more, the rarest are forgotten.
MAX_COUNTED_GROUPS = 200
# The groups that an answer shows.
MAX_SHOWN_GROUPS = 20


def with_refused(groups: Sequence[Mapping[str, Any]], refused: Iterable[RefusedRow]) -> list[dict[str, Any]]:
    """The groups after these rows, most frequent first. A group is a column, a cell and a reason, with its count."""
    counts = Counter({(group["column"], group["value"], group["reason"]): group["count"] for group in groups})
    counts.update(
        (problem.column, _storable(problem.value), problem.reason) for row in refused for problem in row.problems
    )
    return [
        {"count": count, "column": column, "value": value, "reason": reason, "message": _message(count, *problem)}
        for problem, count in counts.most_common(MAX_COUNTED_GROUPS)
        for column, value, reason in (problem,)
    ]


def _storable(value: str | None) -> str | None:
    """PostgreSQL stores no NUL."""
    return None if value is None else value.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _message(count: int, column: str | None, value: str | None, reason: str) -> str:
    return f"{count:,} \N{MULTIPLICATION SIGN} {reason if column is None else f'{column} {value!r}'}"
