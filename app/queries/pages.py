"""A page of a list as it is asked for and answered: its rows, its size, and the cursor to where the next one starts.

A cursor names the sort and the last row's key and id. The next page starts behind that row (keyset paging): it costs
the same at any depth, and it neither repeats nor skips rows that stay where they are.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, TypeVar

import orjson

from app.errors import InvalidError

Value = TypeVar("Value")

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
# A total is counted up to here. It is for people to read, and must not cost more as the tables grow.
MAX_TOTAL = 10_000
MAX_CURSOR_LENGTH = 2000
MAX_BIGINT = 2**63 - 1

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INTEGER = re.compile(r"\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?(e[+-]\d{1,3})?", re.ASCII)


# The fields that a client wants of a row: its own name for each, and ours. An inner mapping becomes an object within
# the row; True and False stand for themselves.
Shape = Mapping[str, "str | bool | Shape"]


@dataclass(frozen=True, slots=True)
class JsonRow:
    """One row as the JSON text that PostgreSQL made of it: most go out without being parsed."""

    json: bytes

    @property
    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = orjson.loads(self.json)
        return values


@dataclass(frozen=True, slots=True)
class Total:
    """How many rows a list has over all pages; that many at least where it is capped."""

    count: int
    is_capped: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, where the next page starts, and how many rows there are if that was asked for.

    `rows` is the JSON text that PostgreSQL made of each row, joined by commas: most pages go out without being parsed.
    """

    rows: bytes
    next_cursor: str | None
    total: Total | None = None

    @property
    def items(self) -> list[Any]:
        items: list[Any] = orjson.loads(b"[%s]" % self.rows)
        return items

    def to_bytes(self) -> bytes:
        """The page as the cache keeps it."""
        total = None if self.total is None else [self.total.count, self.total.is_capped]
        return orjson.dumps([self.next_cursor, total]) + b"\n" + self.rows

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Page":
        head, rows = stored.split(b"\n", 1)
        next_cursor, total = orjson.loads(head)
        return cls(rows, next_cursor, None if total is None else Total(*total))


@dataclass(frozen=True, slots=True)
class ValuePage(Generic[Value]):
    """A page of values that were worked out from rows, and where the next page starts."""

    items: Sequence[Value]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the row's sort key as PostgreSQL prints it, and its id."""

    key: str
    id: int


def encode_cursor(sort: str, position: Position) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([sort, position.key, position.id])).decode().rstrip("=")


def decode_cursor(cursor: str, sort: str, is_valid_key: Callable[[str], bool]) -> Position:
    """Raises InvalidError for a cursor that is not ours, is of another sort, or has been tampered with."""
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
    """As PostgreSQL prints one in UTC; Python alone would take more, such as a week's date."""
    return key == "infinity" or (_TIMESTAMP.fullmatch(key) is not None and _is_iso(datetime.fromisoformat, key))


def is_date(key: str) -> bool:
    return _DATE.fullmatch(key) is not None and _is_iso(date.fromisoformat, key)


def is_number(key: str) -> bool:
    """A finite one that is not too small to be told from zero: PostgreSQL refuses both."""
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
