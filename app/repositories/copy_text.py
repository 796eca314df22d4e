"""The text format of COPY: rows are written line by line, as PostgreSQL asks for them."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from types import NoneType
from typing import Any

from psycopg2.errors import QueryCanceled
from sqlalchemy.orm import Session

from app.models.tasks.fields import TaskPriority, TaskStatus

NULL = r"\N"

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
_NEEDS_ESCAPES = re.compile(r"[\\\n\r\t]").search


class CopySource:
    """A file for psycopg2 to COPY from. It makes each line when it is read."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._rest = ""
        self.error: Exception | None = None

    def read(self, size: int = -1) -> str:
        try:
            return self._read(size)
        except Exception as error:
            self.error = error
            raise

    def _read(self, size: int) -> str:
        parts = [self._rest]
        length = len(self._rest)
        for line in self._lines:
            parts.append(line)
            length += len(line)
            if 0 <= size <= length:
                break
        whole = "".join(parts)
        if size < 0:
            self._rest = ""
            return whole
        self._rest = whole[size:]
        return whole[:size]


def copy_from(session: Session, statement: str, lines: Iterator[str]) -> None:
    """Run a COPY statement with these lines."""
    connection: Any = session.connection().connection
    with connection.cursor() as cursor:
        source = CopySource(lines)
        try:
            cursor.copy_expert(statement, source)
        except QueryCanceled:
            # psycopg2 raises this when the source raised. The caller needs the source's own error.
            if source.error is not None:
                raise source.error from None
            raise


def copy_line(values: Iterable[Any]) -> str:
    """Return the line of one row. A value is None, text, a number, a truth value, an instant, a day or a list of text.

    It must be fast, because an import calls it for each row.
    """
    cells = []
    for value in values:
        kind = type(value)
        if kind is str:
            cells.append(value.translate(_ESCAPES) if _NEEDS_ESCAPES(value) else value)
        elif kind in _ENUMS:
            cells.append(value)
        else:
            cells.append(_FORMATS[kind](value))
    return "\t".join(cells) + "\n"


def escaped(text: str) -> str:
    return text.translate(_ESCAPES) if _NEEDS_ESCAPES(text) else text


def array_literal(values: Sequence[str]) -> str:
    return "{" + ",".join('"' + value.replace("\\", r"\\").replace('"', r"\"") + '"' for value in values) + "}"


_FORMATS: dict[type, Callable[[Any], str]] = {
    NoneType: lambda _: NULL,
    int: str,
    bool: lambda value: "t" if value else "f",
    float: repr,
    datetime: datetime.isoformat,
    date: date.isoformat,
    list: lambda values: escaped(array_literal(values)) if values else "{}",
}
# Their values are text with nothing to escape.
_ENUMS = frozenset({TaskStatus, TaskPriority})
