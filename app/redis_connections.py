"""Connections to Redis for the commands of requests.

redis-py takes a connection from its pool for each command, and looks at it, times it and gives it back: together that
takes longer than to send a short command and to read its answer. These connections stay taken instead.
"""

import hashlib
from collections import deque
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.retry import Retry

SOCKET_TIMEOUT_SECONDS = 0.25


def make_redis(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


class Script:
    """A Lua script. The server knows it by its hash once it has seen it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisConnections:
    """As many connections as there were commands at the same time. Any thread may use them."""

    def __init__(self, client: Redis) -> None:
        self._pool = client.connection_pool
        self._free: deque[Any] = deque()

    def ask(self, *command: str | int | bytes) -> Any:
        """Send a command and return its answer, as bytes or a list of them. Raises RedisError."""
        try:
            connection, is_new = self._free.pop(), False
        except IndexError:
            connection, is_new = self._pool.get_connection(), True
        try:
            return _answer_of(connection, command)
        except RedisConnectionError:
            if is_new:
                raise
            # The server has probably closed the connection since, as a restart does. This opens it again. If the server
            # has run the command and only its answer was lost, it runs twice.
            return _answer_of(connection, command)
        finally:
            self._free.append(connection)

    def after_fork(self) -> None:
        self._free.clear()

    def run(self, script: Script, keys: list[str], arguments: list[str | int]) -> Any:
        """Run a script. Raises RedisError."""
        try:
            return self.ask("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return self.ask("EVAL", script.text, len(keys), *keys, *arguments)


def _packed(command: tuple[str | int | bytes, ...]) -> bytes:
    """The command as the server reads it (RESP). redis-py takes three times as long for a short one."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n%b" % (len(words), b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))


def _answer_of(connection: Any, command: tuple[str | int | bytes, ...]) -> Any:
    try:
        connection.send_packed_command([_packed(command)])
        return connection.read_response()
    except ResponseError:
        raise
    except BaseException:
        # An answer may still be on its way. The next command must not read it.
        connection.disconnect()
        raise
