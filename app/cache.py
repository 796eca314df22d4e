"""The cache of pages, which are expensive and the same for many users, and of actors. A failing Redis is a miss.

Entries are forgotten by *generation*: each key contains the random generations of the spaces that the entry was made
from. One write gives a space a new generation, and so forgets it. A reader fetches the generations before it loads, so
an entry that was loaded before a change but stored after it has a key that nobody reads.
"""

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)

SOCKET_TIMEOUT_SECONDS = 0.25
# After a failure Redis is not asked for this long, so a frozen server slows down one request and not all of them.
REST_SECONDS = 2.0
# Until Redis has forgotten, other processes may serve outdated pages, so forgetting is retried this often.
FORGET_AGAIN_SECONDS = 0.2
# After this time the outdated pages have expired by themselves.
FORGET_AGAIN_FOR_SECONDS = 60.0
GENERATION_TTL_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Remembered:
    value: bytes
    was_cached: bool


def make_redis(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


# Fetches the generations of the spaces and the page under them in one round trip. Empty if a space has no generation.
_LOOK_UP = """
local generations = redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
    if not generations[i] then return {} end
end
local key = ARGV[1] .. ':' .. table.concat(generations, ':')
return {key, redis.call('GET', key)}
"""


class Cache:
    def __init__(
        self,
        client: Redis,
        *,
        now: Callable[[], float] = time.monotonic,
        count_lookup: Callable[[str, bool], None] = lambda _space, _was_cached: None,
    ) -> None:
        """`count_lookup` is called for each lookup, with the space and whether the page was there."""
        self._client = client
        self._count_lookup = count_lookup
        self._look_up = client.register_script(_LOOK_UP)
        self._now = now
        self._rests_until = 0.0
        # Spaces that Redis could not be told to forget. It may come back with its memory intact.
        self._still_to_forget: set[str] = set()
        self._is_forgetting_again = False
        self._lock = threading.Lock()

    def remember(self, spaces: Sequence[str], key: str, load: Callable[[], bytes], *, ttl_seconds: int) -> Remembered:
        """The cached value under `key`, or what `load` returns, kept until a space is forgotten or the TTL is over."""
        full_key, cached = self._find(spaces, key)
        self._count_lookup(spaces[0], cached is not None)
        if cached is not None:
            return Remembered(cached, was_cached=True)
        value = load()
        if full_key is not None:
            self._try(lambda: self._client.set(full_key, value, ex=ttl_seconds))
        return Remembered(value, was_cached=False)

    def forget(self, *spaces: str) -> None:
        with self._lock:
            self._still_to_forget |= set(spaces)
        if not self._forget_outstanding():
            self._start_forgetting_again()

    def is_reachable(self) -> bool:
        try:
            return bool(self._client.ping())
        except RedisError:
            return False

    def _find(self, spaces: Sequence[str], key: str) -> tuple[bytes | None, bytes | None]:
        """The key for these generations and its value. No key while Redis may still hold pages it should forget."""
        if self._still_to_forget and not self._forget_outstanding():
            return None, None
        names = [f"generation:{space}" for space in spaces]
        digest = f"page:{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"
        entry = self._try(lambda: self._look_up(names, [digest]))
        if entry == []:
            for name in names:
                fresh = secrets.token_hex(8)
                self._try(partial(self._client.set, name, fresh, nx=True, ex=GENERATION_TTL_SECONDS))
            entry = self._try(lambda: self._look_up(names, [digest]))
        return (entry[0], entry[1]) if entry else (None, None)

    def _forget_outstanding(self, *, is_patient: bool = False) -> bool:
        with self._lock:
            spaces, self._still_to_forget = self._still_to_forget, set()
        fresh = {f"generation:{space}": secrets.token_hex(8) for space in sorted(spaces)}
        if fresh and self._try(lambda: self._client.mset(fresh), is_patient=is_patient) is None:
            with self._lock:
                self._still_to_forget |= spaces
            return False
        return True

    def _start_forgetting_again(self) -> None:
        with self._lock:
            if self._is_forgetting_again:
                return
            self._is_forgetting_again = True
        threading.Thread(target=self._forget_again, name="cache-forgetting", daemon=True).start()

    def _forget_again(self) -> None:
        """Retry in the background, since the next request to this process may come much later."""
        until = time.monotonic() + FORGET_AGAIN_FOR_SECONDS
        is_done = False
        while not is_done:
            time.sleep(FORGET_AGAIN_SECONDS)
            self._forget_outstanding(is_patient=True)
            with self._lock:
                is_done = not self._still_to_forget or time.monotonic() > until
                self._is_forgetting_again = not is_done

    def _try(self, command: Callable[[], Any], *, is_patient: bool = False) -> Any:
        """Run the command. None if Redis fails or rests. A patient caller asks it even then, and logs nothing."""
        if self._now() < self._rests_until and not is_patient:
            return None
        try:
            return command()
        except RedisError as error:
            if not is_patient:
                self._rests_until = self._now() + REST_SECONDS
                logger.warning("cache unavailable, continuing without it: %s", type(error).__name__)
            return None
