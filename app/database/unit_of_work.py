"""One transaction for each use case: it commits at the end of the use case, and then releases its events."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from psycopg2.errors import (
    DeadlockDetected,
    DiskFull,
    QueryCanceled,
    SerializationFailure,
    UndefinedColumn,
    UndefinedTable,
)
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from app.database.engine import HAS_FLUSHED, IS_SIGNED, OWNS_CONNECTION, violated_constraint
from app.database.prepared import PlannedOnce
from app.errors import (
    ChangesCollidedError,
    OutcomeUnknownError,
    ProjectArchivedError,
    StatementTooSlowError,
    UnavailableError,
)
from app.events import Event

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 2
# A request that was too costly should not be repeated at once.
COSTLY_RETRY_SECONDS = 30
# Somebody has to free some space first.
FULL_DISK_RETRY_AFTER_SECONDS = 30
# After a connection was lost during a commit, the server is asked for the outcome for this long, with these pauses.
OUTCOME_SECONDS = 2.0
OUTCOME_PAUSE_SECONDS = 0.1
# What a database lacks that has not been migrated to this release.
OLDER_SCHEMA = (UndefinedTable, UndefinedColumn)
# The trigger `ensure_projects_are_open` names itself as this constraint. Every writer of tasks may meet it, so it is
# translated here and not by each of their repositories.
PROJECTS_ARE_OPEN = "projects_are_open"

# Sets the actor and request that the history's triggers read in this transaction, and returns the transaction's number.
# A server that crashes and loses the transaction may assign its number again. Recovery from a crash ends with a
# checkpoint, so the number is still ours as long as the last checkpoint is the same.
_SIGN = PlannedOnce(
    text("""
    SELECT set_config('tasktracker.actor_id', :actor_id, true), set_config('tasktracker.request_id', :request_id, true),
           CAST(pg_current_xact_id() AS text), CAST(checkpoint_lsn AS text)
      FROM pg_control_checkpoint()
""")
)
_DURABLE = text("SET LOCAL synchronous_commit TO DEFAULT")
_OUTCOME = text("""
    SELECT pg_xact_status(CAST(:id AS xid8)), checkpoint_lsn = CAST(:checkpoint AS pg_lsn) FROM pg_control_checkpoint()
""")


class Actor(Protocol):
    """The user who changes tasks."""

    @property
    def user_id(self) -> int: ...


class _TransactionNumber(NamedTuple):
    """The server's number of a transaction, and its last checkpoint when it assigned the number."""

    id: str
    checkpoint: str


class UnitOfWork:
    """Commits when the block ends, rolls back when the block raises, and does not nest.

    Events published inside are released only after the commit. After a rollback they are dropped.
    """

    def __init__(self, session: Session, release: Callable[[Event], None], *, request_id: str | None = None) -> None:
        self._session = session
        self._release = release
        self._request_id = request_id
        self._events: list[Event] = []
        self._is_open = self._releases_events = self._is_together = self._has_failed = False
        self._number: _TransactionNumber | None = None

    def publish(self, event: Event) -> None:
        if not self._releases_events:
            raise RuntimeError("events must be published inside a transaction")
        self._events.append(event)

    @property
    def request_id(self) -> str | None:
        """The id of the request or job that this unit of work serves."""
        return self._request_id

    def sign(self, actor_id: int, *, request_id: str | None = None) -> None:
        """Name the user for whom this transaction changes tasks, and the request, if it is not this one.

        The history records both. A transaction that is opened `by` an actor is signed already.
        """
        signature = {"actor_id": str(actor_id), "request_id": request_id or self._request_id or ""}
        ((*_names, number, checkpoint),) = _SIGN.rows(self._session, signature)
        self._number = _TransactionNumber(number, checkpoint)
        self._session.info[IS_SIGNED] = True

    @contextmanager
    def transaction(self, *, by: Actor | None = None) -> Iterator[None]:
        """Open a transaction. Without an actor in `by`, no task can be changed through the session.

        Raises UnavailableError when the server is away, full or not migrated, StatementTooSlowError when it ended a
        statement, and ChangesCollidedError after a deadlock; the block had no effect then. Raises OutcomeUnknownError
        when the connection was lost during the commit and the outcome could not be determined.
        """
        with self._opened(releases_events=True):
            if by is not None:
                self.sign(by.user_id)
            yield
            self._session.flush()
            if not self._is_together:
                self._commit()
        self._release_events()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Open a block whose transactions and single statements all commit together at its end, or not at all.

        Events are released after that commit. Raises what `transaction` raises.
        """
        with self._opened(releases_events=True):
            self._is_open, self._is_together, self._has_failed = False, True, False
            try:
                yield
            finally:
                self._is_together = False
            if self._has_failed:
                raise RuntimeError("a transaction inside has failed, so nothing of this block can be committed")
            self._session.flush()
            # A single statement inside may have asked for a commit that does not wait for the disk.
            self._session.execute(_DURABLE)
            self._commit()
        self._release_events()

    @contextmanager
    def single_statements(self) -> Iterator[None]:
        """Open a block whose statements each commit by themselves: they need no round trips for BEGIN and COMMIT.

        For reads, and for a write that may stay though nothing comes of it. Raises UnavailableError when the server is
        away or full, and StatementTooSlowError when it ended the statement. A statement sees what was committed since
        the one before.
        """
        with self._opened():
            if self._session.info[OWNS_CONNECTION] and not self._is_together:
                # The pool switches it back. SQLAlchemy's own way of switching takes several round trips.
                self._session.connection().connection.driver_connection.autocommit = True  # type: ignore[union-attr]
            yield
            if not self._is_together:
                # This gives the connection back. A rollback would also make the objects that were read load again.
                self._session.commit()

    @contextmanager
    def _opened(self, *, releases_events: bool = False) -> Iterator[None]:
        """Translate the server's errors, and roll back after any error."""
        if self._is_open:
            raise RuntimeError("transactions do not nest: a use case must not call another one")
        self._is_open, self._releases_events = True, releases_events
        if self._is_together:
            # The block around this one rolls back after an error, and keeps the events and what was written so far.
            self._session.info[IS_SIGNED] = False
            try:
                yield
            except BaseException:
                self._has_failed = True
                raise
            finally:
                self._is_open = self._releases_events = False
            return
        self._events, self._number = [], None
        self._session.info.update({HAS_FLUSHED: False, IS_SIGNED: False})
        try:
            yield
        except (DBAPIError, PoolTimeoutError) as error:
            self._roll_back()
            if isinstance(error, IntegrityError) and violated_constraint(error) == PROJECTS_ARE_OPEN:
                raise _project_archived(error) from error
            if not _is_unavailable(error):
                raise
            raise _unavailable(error) from error
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._is_open = self._releases_events = False

    def _release_events(self) -> None:
        if self._is_together:
            return
        events, self._events = self._events, []
        for published in events:
            self._release(published)

    def _commit(self) -> None:
        try:
            self._session.commit()
        except DBAPIError as error:
            has_written = self._number is not None or self._session.info[HAS_FLUSHED]
            if not (error.connection_invalidated and has_written):
                raise
            self._roll_back()
            outcome = self._learn_outcome()
            if outcome == "aborted":
                raise
            if outcome != "committed":
                logger.warning("the outcome of a commit is unknown: %s", type(error.__cause__).__name__)
                raise OutcomeUnknownError(
                    "the connection to the database was lost while the change was being saved;"
                    " look whether it was made before you send it again",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                ) from error

    def _learn_outcome(self) -> str | None:
        """Ask the server for the outcome: `committed`, `aborted`, or None if it does not answer or does not know."""
        if self._number is None:
            return None
        deadline = time.monotonic() + OUTCOME_SECONDS
        while time.monotonic() < deadline:
            outcome, is_ours = None, False
            try:
                outcome, is_ours = self._session.execute(_OUTCOME, self._number._asdict()).one()
            except UnavailableError:
                # The server is known to be silent, and a request should not wait for it.
                return None
            except (DBAPIError, PoolTimeoutError):
                pass
            finally:
                self._roll_back()
            if outcome == "committed":
                return "committed" if is_ours else None
            if outcome == "aborted":
                return "aborted"
            time.sleep(OUTCOME_PAUSE_SECONDS)
        return None

    def _roll_back(self) -> None:
        try:
            self._session.rollback()
        except DBAPIError:
            self._session.invalidate()


def _project_archived(error: IntegrityError) -> ProjectArchivedError:
    key = getattr(getattr(error.orig, "diag", None), "message_detail", None)
    return ProjectArchivedError(f"the project {key} is archived, so it cannot be changed")


def _is_unavailable(error: DBAPIError | PoolTimeoutError) -> bool:
    """True for a missing or overloaded server, an older schema, and lost connections reported as a DatabaseError."""
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError)):
        return True
    return error.connection_invalidated or isinstance(error.__cause__, OLDER_SCHEMA)


def _unavailable(error: DBAPIError | PoolTimeoutError) -> UnavailableError:
    """The error that clients see for an error of `_is_unavailable`."""
    cause = error.__cause__
    if isinstance(cause, QueryCanceled):
        logger.warning("a statement took too long and was ended")
        return StatementTooSlowError(
            "this took too long and was stopped; ask for less: a shorter range, another filter, no total",
            retry_after_seconds=COSTLY_RETRY_SECONDS,
        )
    if isinstance(cause, (DeadlockDetected, SerializationFailure)):
        logger.warning("two transactions collided: %s", type(cause).__name__)
        return ChangesCollidedError(
            "two changes were in each other's way, and this one was not made; try again",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    logger.warning("database unavailable: %s", type(cause or error).__name__)
    if isinstance(cause, OLDER_SCHEMA):
        return UnavailableError(
            "the database is not ready for this release; /readyz says why", retry_after_seconds=RETRY_AFTER_SECONDS
        )
    if isinstance(cause, DiskFull):
        return UnavailableError(
            "the database's disk is full; nothing was saved", retry_after_seconds=FULL_DISK_RETRY_AFTER_SECONDS
        )
    return UnavailableError("the database does not answer; try again shortly", retry_after_seconds=RETRY_AFTER_SECONDS)
