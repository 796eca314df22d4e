"""How migrations run: one process at a time, with locks that give up rather than stand in everybody's way."""

import os
import re
import time

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.schema import SchemaItem

from app.models import every_table
from app.settings import psycopg2_url
from migrations.timeouts import ORDINARY

# Any number that nothing else in the database locks on.
ADVISORY_LOCK = 7_203_114_118
POLL_SECONDS = 0.2
PARTITION_NAME = re.compile(r"^task_logs_\d{4}_\d{2}$")


def is_ours(item: SchemaItem, name: str | None, kind: str, _reflected: bool, _compare_to: SchemaItem | None) -> bool:
    """The monthly partitions are the log's own business, made as months come."""
    table_name = name if kind == "table" else getattr(getattr(item, "table", None), "name", None)
    return not PARTITION_NAME.match(table_name or "")


def run_on(connection: Connection) -> None:
    # A session-level lock: one of the transaction would be dropped where an index is built concurrently. Asked for
    # again and again, not waited for: who waits has a transaction open, and such a build waits for that one.
    while not connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": ADVISORY_LOCK}).scalar():
        connection.commit()
        time.sleep(POLL_SECONDS)
    ORDINARY.apply(connection)
    connection.commit()
    try:
        context.configure(
            connection=connection,
            target_metadata=every_table.metadata,
            include_object=is_ours,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    finally:
        # A connection that is lost has taken its lock with it.
        if not connection.invalidated:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": ADVISORY_LOCK})
            connection.commit()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        run_on(given)
        return
    with create_engine(psycopg2_url(os.environ["DATABASE_URL"])).connect() as connection:
        run_on(connection)


main()
