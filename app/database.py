"""How we talk to PostgreSQL: one engine a process, one session a request or job, one transaction a use case."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from app.errors import UnavailableError
from app.events import Event
from app.metrics import Metrics

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECONDS = 2
POOL_TIMEOUT_SECONDS = 2
# A request is answered or refused, never left hanging: the server ends what takes longer.
SERVER_OPTIONS = (
    "-c timezone=UTC -c statement_timeout=30s -c lock_timeout=5s -c idle_in_transaction_session_timeout=60s"
)


def make_engine(url: str, *, pool_size: int) -> Engine:
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        pool_pre_ping=True,
        # What people wrote does not belong in a log, not even with an error.
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "options": SERVER_OPTIONS,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            "tcp_user_timeout": 10_000,
            "application_name": "tasktrackerpro",
        },
    )


def watch_connections(engine: Engine, metrics: Metrics) -> None:
    """Let the numbers know how many of the pool's connections are in use."""
    metrics.connections_limit.inc(engine.pool.size())  # type: ignore[attr-defined]

    @event.listens_for(engine, "checkout")
    def take(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
        record.info["is_counted"] = True
        metrics.connections_in_use.inc()

    @event.listens_for(engine, "checkin")
    def give_back(_connection: object, record: ConnectionPoolEntry) -> None:
        # One that could not be opened again comes back without having been taken.
        if record.info.pop("is_counted", False):
            metrics.connections_in_use.dec()


def make_session_factory(bind: Engine | Connection) -> sessionmaker[Session]:
    # Responses are built after the commit, so a commit must not empty the objects they are built from. A look-up does
    # not write what is half changed: repositories flush, each with its reason.
    return sessionmaker(bind, expire_on_commit=False, autoflush=False, join_transaction_mode="create_savepoint")


# The names that the triggers of the history know; gone with the transaction.
_SIGN = text("""
    SELECT set_config('tasktracker.actor_id', :actor_id, true), set_config('tasktracker.request_id', :request_id, true)
""")


class UnitOfWork:
    """Commits when the block ends, rolls all of it back when the block raises, does not nest.

    Events published inside are released only after the commit; after a rollback they never happened.
    """

    def __init__(self, session: Session, release: Callable[[Event], None], *, request_id: str | None = None) -> None:
        self._session = session
        self._release = release
        self._request_id = request_id
        self._events: list[Event] = []
        self._is_open = False

    def publish(self, event: Event) -> None:
        if not self._is_open:
            raise RuntimeError("an event is published inside the transaction that makes it true")
        self._events.append(event)

    @property
    def request_id(self) -> str | None:
        """Of the request or job that this serves."""
        return self._request_id

    def sign(self, actor_id: int, *, request_id: str | None = None) -> None:
        """Say in whose name this transaction changes tasks, for the history; and in which request, if not in this."""
        signature = {"actor_id": str(actor_id), "request_id": request_id or self._request_id or ""}
        self._session.execute(_SIGN, signature)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Raises UnavailableError when the server is gone, full or too slow; the block had no effect then."""
        if self._is_open:
            raise RuntimeError("transactions do not nest; call one use case, not two")
        self._is_open = True
        self._events = []
        try:
            yield
            self._session.commit()
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            self._roll_back()
            logger.warning("database unavailable: %s", type(error.__cause__ or error).__name__)
            raise UnavailableError("the database does not answer; try again shortly", retry_after_seconds=2) from error
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._is_open = False
        events, self._events = self._events, []
        for published in events:
            self._release(published)

    def _roll_back(self) -> None:
        try:
            self._session.rollback()
        except DBAPIError:
            self._session.invalidate()


def violated_constraint(error: IntegrityError) -> str | None:
    """The name of the constraint that refused the statement, as PostgreSQL reports it."""
    diagnostics = getattr(error.orig, "diag", None)
    return getattr(diagnostics, "constraint_name", None)


def applied_migration(connection: Connection) -> str | None:
    """The newest migration that the database has."""
    return MigrationContext.configure(connection).get_current_revision()


def alembic_config() -> Config:
    """Wherever the process was started from."""
    return Config(Path(__file__).resolve().parent.parent / "alembic.ini")


@cache
def known_migrations() -> tuple[str, ...]:
    """Of this release, the newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())
