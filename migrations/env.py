"""Runs migrations: one process at a time, with timeouts that keep them from blocking everybody else."""

import os
import re
import time

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.schema import SchemaItem

from app.models import every_table
from app.settings import psycopg2_url
from migrations.timeouts import ORDINARY

# Any number that no other lock in the database uses.
ADVISORY_LOCK = 7_203_114_118
POLL_SECONDS = 0.2
PARTITION_NAME = re.compile(r"^task_logs_\d{4}_\d{2}$")


def is_ours(item: SchemaItem, name: str | None, kind: str, _reflected: bool, _compare_to: SchemaItem | None) -> bool:
    """False for the monthly partitions, which the daily log creates as months come."""
    table_name = name if kind == "table" else getattr(getattr(item, "table", None), "name", None)
    return not PARTITION_NAME.match(table_name or "")


def run_on(connection: Connection) -> None:
    # A session-level lock, since a concurrent index build ends the transaction. The lock is polled: a process that
    # waited for it would have an open transaction, for which the concurrent build would wait in turn.
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
        # A lost connection has released its lock.
        if not connection.invalidated:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": ADVISORY_LOCK})
            connection.commit()


def main() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        run_on(connection)
        return
    with create_engine(psycopg2_url(os.environ["DATABASE_URL"])).connect() as connection:
        run_on(connection)


main()
