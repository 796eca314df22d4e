"""The SQL of a page: rows as JSON that PostgreSQL makes, and a total that is counted up to a limit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, ColumnElement, DateTime, Select, String, Text, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.queries.pages import MAX_TOTAL, JsonRow, Page, Position, Shape, Total, encode_cursor

AnySelect = Select[*tuple[Any, ...]]

_TIME_FORMAT: ColumnElement[str] = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'""")


def row_of(text: str | None) -> JsonRow | None:
    return None if text is None else JsonRow(text.encode())


def joined(rows: Iterable[str]) -> bytes:
    """Join the JSON text of each row into the rows of a page."""
    return ",".join(rows).encode()


def count_up_to_max(session: Session, rows: AnySelect) -> Total:
    """Count the selected rows, but only up to MAX_TOTAL."""
    return total_of(session.scalar(counted_up_to_max(rows)) or 0)


def counted_up_to_max(rows: AnySelect) -> AnySelect:
    """The statement that counts the rows. It stops after MAX_TOTAL + 1 rows."""
    return select(func.count()).select_from(rows.limit(MAX_TOTAL + 1).subquery("counted"))


def total_of(count: int) -> Total:
    return Total(min(count, MAX_TOTAL), is_capped=count > MAX_TOTAL)


def page_of(rows: Sequence[Any], *, limit: int, sort: str, total: Total | None) -> Page:
    """`rows` are (json, sort key, id), one more than `limit` where there is a next page."""
    shown = rows[:limit]
    next_cursor = encode_cursor(sort, Position(shown[-1][1], shown[-1][2])) if len(rows) > limit else None
    return Page(joined(row[0] for row in shown), next_cursor, total)


def json_text(fields: Mapping[str, Any]) -> ColumnElement[str]:
    """One row as JSON text, made by PostgreSQL."""
    return cast(json_object(fields), Text)


def json_object(fields: Mapping[str, Any]) -> ColumnElement[Any]:
    """A JSON object for use within a row. `row_to_json` prints no blanks. Times are in UTC, with six digits.

    Every table belongs to the statement around the object. A query within a field must name them in its `correlate`.
    """
    columns = select(*(_printed(column).label(name) for name, column in fields.items()))
    row = columns.correlate_except(None).subquery("object")
    return select(func.row_to_json(row.table_valued())).scalar_subquery()


def _printed(column: Any) -> Any:
    if isinstance(column.type, JSONB):
        return cast(func.compact_json(column), JSON)
    if not isinstance(column.type, DateTime):
        return column
    # By itself, PostgreSQL leaves out the zeros at the end of a fraction, and a fraction of zero.
    return func.to_char(func.timezone(literal_column("'UTC'"), column), _TIME_FORMAT)


def shaped_text(shape: Shape, fields: Mapping[str, Any]) -> ColumnElement[str]:
    """One row as JSON text in a client's shape.

    `json_build_object` prints blanks around its colons. The clients that have shapes have always received them.
    """
    return cast(_shaped(shape, fields), Text)


def _shaped(shape: Shape, fields: Mapping[str, Any]) -> Any:
    pairs: list[ColumnElement[Any]] = []
    for name, source in shape.fields:
        pairs += [literal_column(f"'{name}'", String), _value(source, fields)]
    return func.json_build_object(*pairs)


def _value(source: str | bool | Shape, fields: Mapping[str, Any]) -> Any:
    match source:
        case str():
            return fields[source]
        case bool():
            return func.to_json(source)
        case _:
            return _shaped(source, fields)
