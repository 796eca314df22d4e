"""One transaction a use case: it commits when the use case ends, and its events are released after the commit."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from app.errors import UnavailableError
from app.events import Event

logger = logging.getLogger(__name__)

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
