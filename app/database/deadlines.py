"""Limits how long PostgreSQL may keep a request waiting, measured on our side of the connection.

The server's own timeouts do not work when its processes are frozen or its host is gone: no statement is cancelled, and
every thread waits. So one of our threads watches the running statements. When one takes long, it asks the server for a
new connection. If the server does not even begin to answer, it counts as silent: the connections of all waiting
statements are shut, and no new statement is sent until the server answers again.
"""

import logging
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from app.database.engine import CONNECT_TIMEOUT_SECONDS
from app.errors import UnavailableError
from app.watching import watch

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
# When a statement runs for longer, the server is asked whether it still answers.
PATIENCE_SECONDS = 1.0
PROBE_SECONDS = 1.8
RETRY_AFTER_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Statement:
    """A running statement: its connection, and when it began."""

    connection: extensions.connection
    began_at: float


class Deadlines:
    """Watches the statements of one engine."""

    def __init__(self, engine: Engine, *, longest_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        """A statement that runs for `longest_seconds` is given up, even if the server answers."""
        self._engine = engine
        self._longest_seconds = longest_seconds
        self._now = now
        self._running: dict[int, Statement] = {}
        self._is_silent = False
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "checkout", self._check_out)
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)
        event.listen(engine, "commit", self._begin_transaction_end)
        event.listen(engine, "rollback", self._begin_transaction_end)
        event.listen(engine, "checkin", self._check_in)

    def start(self) -> None:
        watch("database-deadlines", self.look, interval_seconds=TICK_SECONDS)

    def look(self) -> None:
        """Shut the connections of statements that wait in vain. Asks the server only if a statement takes long."""
        for key, statement in list(self._running.items()):
            if statement.connection.closed:
                self._running.pop(key, None)
        ages = [(self._now() - statement.began_at, statement) for statement in list(self._running.values())]
        if self._is_silent or any(age > PATIENCE_SECONDS for age, _ in ages):
            answers = self._answers()
            if answers == self._is_silent:
                logger.warning("the database %s", "answers again" if answers else "does not answer")
            self._is_silent = not answers
        for age, statement in ages:
            if age > self._longest_seconds or (self._is_silent and age > PATIENCE_SECONDS):
                _shut(statement.connection)

    def _answers(self) -> bool:
        """Ask for a new connection. A refusal counts as an answer: the postmaster sent it."""
        arguments, options = self._engine.dialect.create_connect_args(self._engine.url)
        try:
            connection = psycopg2.connect(*arguments, **options, async_=True)
        except psycopg2.Error:
            return False
        try:
            return _comes_up(connection, until=time.monotonic() + PROBE_SECONDS)
        finally:
            connection.close()

    def _connect(self, dialect: Any, _record: object, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
        self._ensure_not_silent()
        began_at = self._now()
        try:
            return dialect.connect(*arguments, **options)
        except psycopg2.OperationalError:
            # A refusal comes at once; this was a timeout. The driver's timeout may end a little before ours.
            if self._now() - began_at > CONNECT_TIMEOUT_SECONDS / 2:
                self._is_silent = True
            raise

    def _check_out(self, *_args: Any) -> None:
        self._ensure_not_silent()

    def _ensure_not_silent(self) -> None:
        if self._is_silent:
            raise UnavailableError("the database does not answer", retry_after_seconds=RETRY_AFTER_SECONDS)

    def _check_in(self, connection: extensions.connection | None, _record: ConnectionPoolEntry) -> None:
        self._running.pop(id(connection), None)

    def _begin(self, connection: Any, *_args: Any) -> None:
        driver = connection.connection.dbapi_connection
        self._running[id(driver)] = Statement(driver, self._now())

    def _end(self, connection: Any, *_args: Any) -> None:
        self._running.pop(id(connection.connection.dbapi_connection), None)

    def _begin_transaction_end(self, connection: Any) -> None:
        """Count COMMIT and ROLLBACK as statements. They end when the connection returns to the pool."""
        if not connection.invalidated:
            self._begin(connection)


def _comes_up(connection: extensions.connection, *, until: float) -> bool:
    poll = select.poll()
    try:
        while (state := connection.poll()) != extensions.POLL_OK:
            poll.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
            if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                return False
    except psycopg2.Error as error:
        # A server that answers "too many clients" or "starting up" is there.
        return getattr(connection, "server_version", 0) > 0 or "FATAL" in str(error)
    return True


def _shut(connection: extensions.connection) -> None:
    """End the socket, which wakes the thread that waits on the connection."""
    # Our copy of the descriptor keeps pointing to this socket, even if the connection's owner closes theirs.
    with suppress(psycopg2.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as end:
        if not connection.closed:
            end.shutdown(socket.SHUT_RDWR)
