"""One transaction a use case: it commits when the use case ends, and its events are released after the commit."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from psycopg2.errors import DiskFull, QueryCanceled
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from app.database.engine import HAS_FLUSHED, IS_SIGNED
from app.errors import OutcomeUnknownError, StatementTooSlowError, UnavailableError
from app.events import Event

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 2
# Whoever asked for too much is not to ask for the same again at once.
COSTLY_RETRY_SECONDS = 30
# Somebody has to make room first.
FULL_DISK_RETRY_AFTER_SECONDS = 30
# After a connection was lost during a commit, the server is asked what became of it, for so long and so often.
OUTCOME_SECONDS = 2.0
OUTCOME_PAUSE_SECONDS = 0.1

# The names that the history's triggers read until the transaction ends; and the number that the transaction has for
# ever, unless the server crashes and loses everything that was written under it: it may then give the number anew.
# Recovery from a crash ends with a checkpoint, so while the last checkpoint is the same the number is still ours.
_SIGN = text("""
    SELECT set_config('tasktracker.actor_id', :actor_id, true), set_config('tasktracker.request_id', :request_id, true),
           CAST(pg_current_xact_id() AS text), CAST(checkpoint_lsn AS text)
      FROM pg_control_checkpoint()
""")
_OUTCOME = text("""
    SELECT pg_xact_status(CAST(:id AS xid8)), checkpoint_lsn = CAST(:checkpoint AS pg_lsn) FROM pg_control_checkpoint()
""")


class Actor(Protocol):
    """Whoever changes tasks."""

    @property
    def user_id(self) -> int: ...


class _TransactionNumber(NamedTuple):
    """A transaction's number on the server, and the server's last checkpoint when it was given."""

    id: str
    checkpoint: str


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
        self._number: _TransactionNumber | None = None

    def publish(self, event: Event) -> None:
        if not self._is_open:
            raise RuntimeError("an event is published inside the transaction that makes it true")
        self._events.append(event)

    @property
    def request_id(self) -> str | None:
        """The id of the request or job that this unit of work serves."""
        return self._request_id

    def sign(self, actor_id: int, *, request_id: str | None = None) -> None:
        """Say in whose name this transaction changes tasks, for the history; and in which request, if not in this.

        A transaction that is opened `by` an actor is signed already.
        """
        signature = {"actor_id": str(actor_id), "request_id": request_id or self._request_id or ""}
        *_names, number, checkpoint = self._session.execute(_SIGN, signature).one()
        self._number = _TransactionNumber(number, checkpoint)
        self._session.info[IS_SIGNED] = True

    @contextmanager
    def transaction(self, *, by: Actor | None = None) -> Iterator[None]:
        """Open a transaction that changes tasks `by` an actor; without one, no task can be changed through the session.

        Raises UnavailableError when the server is gone or full, StatementTooSlowError when it ended a statement.

        The block had no effect then.

        Raises OutcomeUnknownError when the connection was lost during the commit and its outcome could not be learned.
        """
        if self._is_open:
            raise RuntimeError("transactions do not nest; call one use case, not two")
        self._is_open = True
        self._events, self._number = [], None
        self._session.info.update({HAS_FLUSHED: False, IS_SIGNED: False})
        try:
            if by is not None:
                self.sign(by.user_id)
            yield
            self._session.flush()
            self._commit()
        except (DBAPIError, PoolTimeoutError) as error:
            self._roll_back()
            if not _is_unavailable(error):
                raise
            if isinstance(error.__cause__, QueryCanceled):
                logger.warning("a statement took too long and was ended")
                raise StatementTooSlowError(
                    "this took too long and was stopped; ask for less: a shorter range, another filter, no total",
                    retry_after_seconds=COSTLY_RETRY_SECONDS,
                ) from error
            logger.warning("database unavailable: %s", type(error.__cause__ or error).__name__)
            if isinstance(error.__cause__, DiskFull):
                raise UnavailableError(
                    "the database's disk is full; nothing was saved", retry_after_seconds=FULL_DISK_RETRY_AFTER_SECONDS
                ) from error
            raise UnavailableError(
                "the database does not answer; try again shortly", retry_after_seconds=RETRY_AFTER_SECONDS
            ) from error
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._is_open = False
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
        """`committed` or `aborted`, as the server says once it answers; None when it does not say, or cannot know."""
        if self._number is None:
            return None
        deadline = time.monotonic() + OUTCOME_SECONDS
        while time.monotonic() < deadline:
            outcome, is_ours = None, False
            try:
                outcome, is_ours = self._session.execute(_OUTCOME, self._number._asdict()).one()
            except UnavailableError:
                # It is known not to answer, and a request does not wait for it.
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


def _is_unavailable(error: DBAPIError | PoolTimeoutError) -> bool:
    """Also for a lost connection that the driver reports as a plain DatabaseError."""
    return isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError)) or error.connection_invalidated
