"""Builds an index on a table in use, in a migration that may be killed at any moment."""

from alembic import op
from sqlalchemy import text

from migrations.timeouts import CONCURRENT_BUILD, ORDINARY

IS_VALID = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def build_index(name: str, definition: str) -> None:
    """Build the index unless it exists. `definition` is the text after ON: the table, the columns, a condition.

    Commits before and after each statement, so a migration that calls this must do nothing else. It may be run again.
    """
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        CONCURRENT_BUILD.apply(connection)
        # A killed build leaves an invalid index, which every write maintains and no query uses.
        if connection.execute(IS_VALID, {"name": name}).scalar() is False:
            connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        connection.execute(text(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {definition}"))
        ORDINARY.apply(connection)


def drop_index(name: str) -> None:
    """Drop the index unless it is gone. The rules of `build_index` hold for its migration too."""
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        CONCURRENT_BUILD.apply(connection)
        connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        ORDINARY.apply(connection)
