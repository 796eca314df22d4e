"""How long the statements of a migration may run and wait for a lock."""

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Timeouts:
    lock_seconds: int
    statement_seconds: int

    def apply(self, connection: Connection) -> None:
        """Set them for the rest of the session."""
        connection.execute(text(f"SET lock_timeout = '{self.lock_seconds}s'"))
        connection.execute(text(f"SET statement_timeout = '{self.statement_seconds}s'"))


# All later statements queue behind a lock that a migration waits for, so the migration gives up soon.
ORDINARY = Timeouts(lock_seconds=4, statement_seconds=300)
# A concurrent build waits for every transaction that was open when it began, but blocks nobody.
CONCURRENT_BUILD = Timeouts(lock_seconds=600, statement_seconds=3600)
