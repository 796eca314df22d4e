"""Statements whose text is made once, and sent again and again with other parameters.

SQLAlchemy takes longer to make the text of a list's statement than PostgreSQL takes to run it.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import BindParameter, ClauseElement, ColumnElement, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.orm import Session

_DIALECT = PGDialect_psycopg2()  # type: ignore[no-untyped-call]


def parameter(name: str, type_: Any) -> BindParameter[Any]:
    """A value that each execution gives anew."""
    return bindparam(name, None, type_=type_)


def is_among(column: Any, name: str, values: Collection[Any] = ()) -> ColumnElement[bool]:
    """True if the column has one of the values, or of those that an execution gives under this name.

    `IN` would need another text for each number of values.
    """
    return column == any_(bindparam(name, list(values), type_=ARRAY(column.type)))  # type: ignore[no-any-return]


class Prepared:
    """A statement with parameters. The driver sends their values, so they must be of types that it knows."""

    def __init__(self, statement: ClauseElement) -> None:
        compiled: Any = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
        self._text: str = compiled.string
        # A named parameter has no constant value, so that an execution cannot forget it.
        named = {each.key for each in compiled.bind_names if not each.unique}
        self._constants = {name: value for name, value in compiled.params.items() if name not in named}

    def rows(self, session: Session, values: dict[str, Any]) -> Sequence[Any]:
        """The rows of one execution in the session's transaction. Raises KeyError if a parameter has no value."""
        return session.connection().exec_driver_sql(self._text, self._constants | values).all()
