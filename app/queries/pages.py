"""Pages of lists: their rows, their size, and the cursor that says where the next page starts.

A cursor names the sort and the last row's key and id. The next page starts after that row (keyset paging): it costs
the same at any depth, and it neither repeats nor skips rows whose position does not change.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, Protocol, TypeVar

import orjson

from app.errors import InvalidError, PreconditionFailedError

Value = TypeVar("Value")

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
# Totals are counted up to here. They are for people to read, and their cost must not grow with the tables.
MAX_TOTAL = 10_000
MAX_CURSOR_LENGTH = 4000
MAX_BIGINT = 2**63 - 1

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INTEGER = re.compile(r"\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?(e[+-]\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a row for one client: the client's name of each field, and ours.

    An inner shape becomes a nested object; True and False are constants.
    """

    fields: tuple[tuple[str, "str | bool | Shape"], ...]

    @classmethod
    def of(cls, **fields: "str | bool | Shape") -> "Shape":
        return cls(tuple(fields.items()))


@dataclass(frozen=True, slots=True)
class JsonRow:
    """One row as JSON text made by PostgreSQL. Most rows are sent without being parsed."""

    json: bytes

    @property
    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = orjson.loads(self.json)
        return values


@dataclass(frozen=True, slots=True)
class VersionedRow(JsonRow):
    """A row that clients change, and the version that its ETag is made from."""

    id: int
    version: int

    @property
    def freshness(self) -> str:
        """What the answer shows beside the row's own version, for the ETag. `If-Match` passes over it."""
        return ""


# Tells from a row's id and version whether the row may be overwritten; made from If-Match.
Precondition = Callable[[int, int], bool]


class Versioned(Protocol):
    """What has an id and a version."""

    @property
    def id(self) -> int: ...

    @property
    def version(self) -> int: ...


def ensure_unchanged(kind: str, row: Versioned, may_overwrite: Precondition | None) -> None:
    """Raises PreconditionFailedError for a row, such as a task, that the precondition does not let overwrite."""
    if may_overwrite is not None and not may_overwrite(row.id, row.version):
        raise PreconditionFailedError(f"the {kind} has changed since you read it; read it again")


@dataclass(frozen=True, slots=True)
class Total:
    """The number of rows on all pages of a list. If it is capped, there are more."""

    count: int
    is_capped: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `total` is None unless the query asked for it.

    `rows` is the rows' JSON text, made by PostgreSQL and joined by commas. Most pages are sent without being parsed.
    """

    rows: bytes
    next_cursor: str | None
    total: Total | None = None

    @property
    def items(self) -> list[Any]:
        items: list[Any] = orjson.loads(b"[%s]" % self.rows)
        return items

    def to_bytes(self) -> bytes:
        """The page as the cache stores it."""
        total = None if self.total is None else [self.total.count, self.total.is_capped]
        return orjson.dumps([self.next_cursor, total]) + b"\n" + self.rows

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Page":
        head, rows = stored.split(b"\n", 1)
        next_cursor, total = orjson.loads(head)
        return cls(rows, next_cursor, None if total is None else Total(*total))


@dataclass(frozen=True, slots=True)
class ValuePage(Generic[Value]):
    """A page of values that were computed from rows."""

    items: Sequence[Value]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: its sort key, as PostgreSQL prints it, and its id."""

    key: str
    id: int


def encode_cursor(sort: str, position: Position) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([sort, position.key, position.id])).decode().rstrip("=")


def decode_cursor(cursor: str, sort: str, is_valid_key: Callable[[str], bool]) -> Position:
    """Raises InvalidError for text that is not a cursor, and for a cursor of another sort order.

    Cursors are not signed, since a forged one only makes the page start elsewhere.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        cursor_sort, key, row_id = orjson.loads(base64.urlsafe_b64decode(padded.encode()))
    except (ValueError, binascii.Error, TypeError):
        raise InvalidError.of("cursor", "is not a cursor of this list") from None
    if cursor_sort != sort:
        raise InvalidError.of("cursor", "belongs to another sort order; start again without it")
    if not (isinstance(key, str) and is_valid_key(key) and type(row_id) is int and abs(row_id) <= MAX_BIGINT):
        raise InvalidError.of("cursor", "is not a cursor of this list")
    return Position(key, row_id)


def is_timestamp(key: str) -> bool:
    """True for a timestamp as PostgreSQL prints it in UTC. Python alone would accept more, such as week dates."""
    return key == "infinity" or (_TIMESTAMP.fullmatch(key) is not None and _is_iso(datetime.fromisoformat, key))


def is_date(key: str) -> bool:
    return _DATE.fullmatch(key) is not None and _is_iso(date.fromisoformat, key)


def is_number(key: str) -> bool:
    """True for a finite number that does not underflow to zero. PostgreSQL refuses all others."""
    if _NUMBER.fullmatch(key) is None:
        return False
    number = float(key)
    return math.isfinite(number) and (number != 0 or not key.partition("e")[0].strip("-0."))


def is_integer(key: str) -> bool:
    return _INTEGER.fullmatch(key) is not None and int(key) <= MAX_BIGINT


def is_text(key: str) -> bool:
    return "\x00" not in key


def _is_iso(parse: Callable[[str], object], key: str) -> bool:
    try:
        parse(key)
    except ValueError:
        return False
    return True
