"""The maximum number of rows of a file, and how its lines are joined."""

MAX_ROWS = 12_000


def lines(*rows: str) -> bytes:
    return "\n".join([*rows, ""]).encode()
