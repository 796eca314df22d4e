"""How we connect to PostgreSQL: one engine a process, one session a request or job."""

import select
from dataclasses import dataclass
from typing import Any

from psycopg2 import extensions
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError, IntegrityError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from app.metrics import Metrics

CONNECT_TIMEOUT_SECONDS = 2
POOL_TIMEOUT_SECONDS = 2
# A working server ends a statement within this time after its timeout.
STATEMENT_GRACE_SECONDS = 2
# The option that shows whether a connection is direct: PostgreSQL keeps this setting of ours, and PgBouncer drops it.
DIRECT_OPTION = "-c tasktracker.is_direct=true"
# A key of a session's `info`: true once the session has sent changes to the server in this transaction.
HAS_FLUSHED = "has_flushed"
# Another key: true once this transaction has named the actor who changes tasks.
IS_SIGNED = "is_signed"
# And one more: false if the session works on a connection that is in a transaction of somebody else.
OWNS_CONNECTION = "owns_connection"
# A key of a connection's `info`: the names of the statements that it has planned. Absent if it must plan none.
PLANNED = "planned"
# The type, for modules that pass sessions on and do not speak SQLAlchemy.
DatabaseSession = Session


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the server lets a statement run, and wait for a lock."""

    statement_seconds: int
    lock_seconds: int


# A job may take longer than a request: nobody waits for it, and its statements take longer as tables grow.
JOB_TIMEOUTS = Timeouts(statement_seconds=300, lock_seconds=5)
# A waiting request keeps a client waiting, and holds a permit that other requests need.
REQUEST_LOCK_SECONDS = 2


def make_engine(url: str, *, pool_size: int, timeouts: Timeouts) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        # Users' text does not belong in the log, not even with an error.
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "options": f"-c timezone=UTC -c statement_timeout={timeouts.statement_seconds}s"
            f" -c lock_timeout={timeouts.lock_seconds}s -c idle_in_transaction_session_timeout=60s"
            f" {DIRECT_OPTION}",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            "tcp_user_timeout": 10_000,
            "application_name": "tasktrackerpro",
        },
    )
    let_plan_once(engine)
    event.listen(engine, "checkout", _refuse_ended)
    event.listen(engine, "checkin", _end_autocommit)
    return engine


def let_plan_once(engine: Engine) -> None:
    """Let connections that have the DIRECT_OPTION keep plans. A pooler may give each transaction another connection."""

    @event.listens_for(engine, "connect")
    def note_if_direct(connection: extensions.connection, record: ConnectionPoolEntry) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('tasktracker.is_direct', true)")
            (is_direct,) = cursor.fetchone() or (None,)
        connection.rollback()
        if is_direct == "true":
            record.info[PLANNED] = set()


def _end_autocommit(connection: extensions.connection | None, _record: ConnectionPoolEntry) -> None:
    """Make the connection fit for transactions again after a single read."""
    if connection is not None and connection.autocommit and not connection.closed:
        connection.autocommit = False


def _refuse_ended(connection: extensions.connection, _record: ConnectionPoolEntry, _proxy: object) -> None:
    """Make the pool replace a connection that the server has ended. The check needs no round trip.

    The only data that a server sends on an idle connection is the notice of its end.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError


def watch_connections(engine: Engine, metrics: Metrics) -> None:
    """Count the connections of the pool that are in use."""
    metrics.connections_limit.inc(engine.pool.size())  # type: ignore[attr-defined]

    @event.listens_for(engine, "checkout")
    def take(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
        record.info["is_counted"] = True
        metrics.connections_in_use.inc()

    @event.listens_for(engine, "checkin")
    def give_back(_connection: object, record: ConnectionPoolEntry) -> None:
        # A connection that could not be reopened is checked in without having been checked out.
        if record.info.pop("is_counted", False):
            metrics.connections_in_use.dec()


class _Session(Session):
    """A session that notes what it has sent, and refuses a change of a row that `keeps_history` without an actor."""

    def flush(self, objects: Any = None) -> None:
        """Raises RuntimeError for a change without an actor. SQLAlchemy's events would slow down each statement."""
        changed = [*self.new, *self.dirty, *self.deleted]
        if any(getattr(row, "keeps_history", False) for row in changed):
            ensure_signed(self)
        super().flush(objects)
        if changed:
            self.info[HAS_FLUSHED] = True


def make_session_factory(bind: Engine | Connection) -> sessionmaker[Session]:
    # Responses are built after the commit, so a commit must not expire the objects. A query must not flush objects that
    # are only half changed, so repositories flush explicitly.
    return sessionmaker(
        bind,
        class_=_Session,
        expire_on_commit=False,
        autoflush=False,
        join_transaction_mode="create_savepoint",
        info={OWNS_CONNECTION: isinstance(bind, Engine)},
    )


def ensure_signed(session: Session) -> None:
    """Raises RuntimeError if the transaction has no actor. Call it before a change that does not go through a flush."""
    if not session.info.get(IS_SIGNED, True):
        raise RuntimeError("a change of a task needs an actor: open the transaction with transaction(by=actor)")


def violated_constraint(error: IntegrityError) -> str | None:
    """The name of the constraint that refused the statement, as PostgreSQL reports it."""
    diagnostics = getattr(error.orig, "diag", None)
    return getattr(diagnostics, "constraint_name", None)
