"""How cells that are read together are joined and taken apart, and how a refused cell is shown."""

MAX_SHOWN_LENGTH = 200
# Stands between the cells of a row that are read together, where a tracker says one thing in several columns. It is no
# character (Unicode, section 23.7), and unlike most control characters it does not count as a space.
SEPARATOR = "\ufdd0"


class CellError(ValueError):
    """The reason why a cell was refused, as the report shows it.

    Of cells that are read together, `part` says which one was refused.
    """

    def __init__(self, reason: str, part: int = 0) -> None:
        super().__init__(reason)
        self.part = part


def parts_of(cells: str, count: int) -> list[str]:
    """Take cells apart that are read together. Those at the end may be missing."""
    parts = cells.split(SEPARATOR, count - 1)
    return [*parts, *[""] * (count - len(parts))]


def shown(cell: str) -> str:
    """A cell as the report quotes it, cut to a readable length."""
    return repr(cell[:MAX_SHOWN_LENGTH])
