"""How long a migration's statement waits for a lock, and how long it runs, before it gives up."""

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Timeouts:
    lock_seconds: int
    statement_seconds: int

    def apply(self, connection: Connection) -> None:
        """For the rest of the session, or until others are applied."""
        connection.execute(text(f"SET lock_timeout = '{self.lock_seconds}s'"))
        connection.execute(text(f"SET statement_timeout = '{self.statement_seconds}s'"))


# Everybody who comes later waits behind a lock that is waited for, so it is given up soon.
ORDINARY = Timeouts(lock_seconds=4, statement_seconds=300)
# A concurrent build waits for every transaction that was open when it began, and nobody waits behind it.
CONCURRENT_BUILD = Timeouts(lock_seconds=600, statement_seconds=3600)
