"""Statements whose text is made once, and sent again and again with other parameters.

SQLAlchemy takes longer to make the text of a list's statement than PostgreSQL takes to run it. PostgreSQL in turn takes
longer to plan a statement that finds a row by its key than to run it, so each connection keeps the plan of such a
statement. PostgreSQL first plans it with the values a few times, and then once for all.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from psycopg2 import errors
from sqlalchemy import BindParameter, ClauseElement, ColumnElement, Connection, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType

from app.database.engine import HAS_FLUSHED, PLANNED

DIALECT = PGDialect_psycopg2()  # type: ignore[no-untyped-call]
_DOLLAR_DIALECT = PGDialect_psycopg2(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
# The server no longer has the plan, or the type of a column in the result has changed since.
# Or the server has one of which this process knows nothing, after an interrupt.
_PLAN_IS_LOST = (errors.InvalidSqlStatementName, errors.FeatureNotSupported, errors.DuplicatePreparedStatement)
# The plans that a connection keeps. Each takes up memory of the server, and each set of changed fields has its own.
MAX_PLANNED = 100


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
        compiled: Any = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
        self._text: str = compiled.string
        # A named parameter has no constant value, so that an execution cannot forget it.
        named = {each.key for each in compiled.bind_names if not each.unique}
        self._constants = {name: value for name, value in compiled.params.items() if name not in named}

    def rows(self, session: Session, values: dict[str, Any]) -> Sequence[Any]:
        """The rows of one execution in the session's transaction. Raises KeyError if a parameter has no value."""
        return self._run(session.connection(), self._constants | values)

    def write(self, session: Session, values: dict[str, Any]) -> Sequence[Any]:
        """The rows of one execution that changes something. The session notes it, as it does for a flush."""
        rows = self.rows(session, values)
        session.info[HAS_FLUSHED] = True
        return rows

    def _run(self, connection: Connection, values: dict[str, Any]) -> Sequence[Any]:
        return connection.exec_driver_sql(self._text, values).all()


class PlannedOnce(Prepared):
    """A statement of which each connection to PostgreSQL keeps one plan for all values.

    It must find its rows by a key: the best plan of other statements depends on the values.
    """

    def __init__(self, statement: ClauseElement) -> None:
        super().__init__(statement)
        compiled: Any = statement.compile(dialect=_DOLLAR_DIALECT, compile_kwargs={"render_postcompile": True})
        self._name = "planned_" + hashlib.blake2b(compiled.string.encode(), digest_size=8).hexdigest()
        names: Sequence[str] = compiled.positiontup or ()
        types = ", ".join(_type_of(compiled.binds[name]) for name in names)
        arguments = ", ".join(f"%({name})s" for name in names)
        # The driver takes a single percent sign for the beginning of a parameter.
        self._prepare = f"PREPARE {self._name} ({types}) AS {compiled.string.replace('%', '%%')}"
        self._execute = f"EXECUTE {self._name} ({arguments})"

    def _run(self, connection: Connection, values: dict[str, Any]) -> Sequence[Any]:
        planned: set[str] | None = connection.info.get(PLANNED)
        if planned is None or (self._name not in planned and len(planned) >= MAX_PLANNED):
            return super()._run(connection, values)
        try:
            if self._name not in planned:
                connection.exec_driver_sql(self._prepare)
                planned.add(self._name)
            return connection.exec_driver_sql(self._execute, values).all()
        except DBAPIError as error:
            if isinstance(error.orig, _PLAN_IS_LOST):
                # Another connection will plan the statement anew. The caller is told to try again.
                connection.invalidate()
                error.connection_invalidated = True
            raise


def _type_of(bind: BindParameter[Any]) -> str:
    """The type's name in SQL; `unknown` lets PostgreSQL infer the type."""
    return "unknown" if isinstance(bind.type, NullType) else bind.type.compile(dialect=DIALECT)
