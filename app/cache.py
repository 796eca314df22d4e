"""The cache of pages, which are expensive and the same for many users, and of actors. A failing Redis is a miss.

Entries are forgotten by *generation*: each key contains the random generations of the spaces that the entry was made
from. One write gives a space a new generation, and so forgets it. A request fetches the generations before it loads
anything, so an entry that was loaded before a change but stored after it has a key that nobody reads.

The same round trip that fetches the generations counts the request for the rate limits. With the generations known, an
entry that this process has kept needs no further one.
"""

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from app.local_entries import AskedFor, LocalEntries
from app.redis_connections import RedisConnections, Script

logger = logging.getLogger(__name__)

# After a failure Redis is not asked for this long, so a frozen server slows down one request and not all of them.
REST_SECONDS = 2.0
# Until Redis has forgotten, other processes may serve outdated pages, so forgetting is retried this often.
FORGET_AGAIN_SECONDS = 0.2
# After this time the outdated pages have expired by themselves.
FORGET_AGAIN_FOR_SECONDS = 60.0
GENERATION_TTL_SECONDS = 24 * 3600


class Space(StrEnum):
    """What entries are made from. A change of it makes them outdated."""

    ACTORS = "actors"
    TASKS = "tasks"
    TASK_LOGS = "task_logs"


@dataclass(frozen=True, slots=True)
class Remembered:
    value: bytes
    was_cached: bool


@dataclass(frozen=True, slots=True)
class Window:
    """A fixed window of time in which requests are counted, up to a limit."""

    key: str
    seconds: int
    limit: int


@dataclass(frozen=True, slots=True)
class Count:
    """The requests in a window, including this one, and when the window ends, in seconds since 1970."""

    count: int
    ends_at: float


@dataclass(frozen=True, slots=True)
class Glance:
    """What Redis said at the start of a request: the generation of each space, and the count of each window.

    Windows after the first one whose limit is exceeded are not counted.
    """

    generations: Mapping[Space, str]
    counts: Sequence[Count]


# A space without a generation gets the fresh one: Redis may have lost its memory. The answer is one line of words,
# because the client takes as long for each element of a list as for a whole line.
_GLANCE = Script("""
local spaces = tonumber(ARGV[1])
local answer = {}
for i = 1, spaces do
    answer[i] = redis.call('GET', KEYS[i])
    if not answer[i] then
        answer[i] = ARGV[2]
        redis.call('SET', KEYS[i], ARGV[2], 'EX', ARGV[3])
    end
end
for i = spaces + 1, #KEYS do
    local limit, milliseconds = tonumber(ARGV[2 * (i - spaces) + 2]), ARGV[2 * (i - spaces) + 3]
    local count = redis.call('INCR', KEYS[i])
    local left = redis.call('PTTL', KEYS[i])
    if left < 0 then
        redis.call('PEXPIRE', KEYS[i], milliseconds)
        left = tonumber(milliseconds)
    end
    answer[#answer + 1] = count
    answer[#answer + 1] = left
    if count > limit then break end
end
return table.concat(answer, ' ')
""")
# The value of a key, and the milliseconds for which it is still valid.
_GET = Script("return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}")
_GENERATION_KEYS = tuple(f"generation:{space}" for space in Space)


class Cache:
    """The cache of a process. Requests and jobs read it through a `CacheView`."""

    def __init__(
        self,
        client: Redis,
        *,
        now: Callable[[], float] = time.monotonic,
        count_lookup: Callable[[str, bool], None] = lambda _space, _was_cached: None,
    ) -> None:
        """`count_lookup` is called for each lookup, with the space and whether the page was there."""
        self._redis = RedisConnections(client)
        self.count_lookup = count_lookup
        self._local = LocalEntries(now)
        self._asked_for = AskedFor()
        self._now = now
        self._rests_until = 0.0
        # Spaces that Redis could not be told to forget. It may come back with its memory intact.
        self._still_to_forget: set[Space] = set()
        # True from the first failure to forget until all is forgotten.
        self._is_behind = False
        self._is_forgetting_again = False
        self._lock = threading.Lock()

    def glance(self, windows: Sequence[Window] = ()) -> Glance | None:
        """Fetch the generations and count a request in each window, in one round trip.

        None if Redis fails or rests, and while it may still hold pages that it should forget.
        """
        if self._is_behind and not self._forget_outstanding():
            return None
        arguments: list[str | int] = [len(_GENERATION_KEYS), secrets.token_hex(8), GENERATION_TTL_SECONDS]
        for window in windows:
            arguments += (window.limit, window.seconds * 1000)
        keys = [*_GENERATION_KEYS, *(window.key for window in windows)]
        answer = self._try(lambda: self._redis.run(_GLANCE, keys, arguments))
        if answer is None:
            return None
        words, now = answer.decode().split(" "), time.time()
        numbers = [int(word) for word in words[len(Space) :]]
        counts = [Count(count, now + left / 1000) for count, left in zip(numbers[::2], numbers[1::2], strict=True)]
        return Glance(dict(zip(Space, words, strict=False)), counts)

    def remember(
        self,
        generations: Mapping[Space, str],
        spaces: Sequence[Space],
        key: str,
        load: Callable[[], bytes],
        *,
        ttl_seconds: int,
    ) -> Remembered:
        """The value for these generations: what this process has kept, what Redis has, or what `load` returns.

        Only keys that this process has been asked for before are shared through Redis. Most others are never asked for
        again, and two round trips would cost more than such a page.
        """
        digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        full_key = ":".join(("page", digest, *(generations[space] for space in spaces)))
        value, is_shared = self._local.get(full_key), self._asked_for.add(digest)
        if value is None and is_shared:
            value = self._fetch(full_key)
        self.count_lookup(spaces[0], value is not None)
        if value is not None:
            return Remembered(value, was_cached=True)
        value = load()
        self._local.put(full_key, value, ttl_seconds=ttl_seconds)
        if is_shared:
            self._try(lambda: self._redis.ask("SET", full_key, value, "EX", ttl_seconds))
        return Remembered(value, was_cached=False)

    def forget(self, *spaces: Space) -> None:
        with self._lock:
            self._still_to_forget |= set(spaces)
        if not self._forget_outstanding():
            self._start_forgetting_again()

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent, and its locks, which one of its threads may have held.

        Call it in a forked child.
        """
        self._redis.after_fork()
        self._lock, self._is_forgetting_again = threading.Lock(), False
        self._local, self._asked_for = LocalEntries(self._now), AskedFor()

    def is_reachable(self) -> bool:
        try:
            return bool(self._redis.ask("PING"))
        except RedisError:
            return False

    def _fetch(self, full_key: str) -> bytes | None:
        value: bytes | None
        value, left_ms = self._try(lambda: self._redis.run(_GET, [full_key], [])) or (None, 0)
        if value is not None:
            self._local.put(full_key, value, ttl_seconds=left_ms / 1000)
        return value

    def _forget_outstanding(self, *, is_patient: bool = False) -> bool:
        """Forget what is outstanding. False if Redis could not be told, or if another thread is still telling it."""
        with self._lock:
            spaces, self._still_to_forget = self._still_to_forget, set()
            if not spaces:
                return not self._is_behind
        fresh = [word for space in sorted(spaces) for word in (f"generation:{space}", secrets.token_hex(8))]
        is_done = self._try(lambda: self._redis.ask("MSET", *fresh), is_patient=is_patient) is not None
        with self._lock:
            if not is_done:
                self._still_to_forget |= spaces
                self._is_behind = True
            elif not self._still_to_forget:
                self._is_behind = False
        return is_done

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


class CacheView:
    """The cache as of the start of one request or job. Later changes by others may stay unseen until its end."""

    def __init__(self, cache: Cache, glance: Glance | None = None) -> None:
        """Without a glance, the view takes one when it needs the first entry."""
        self._cache = cache
        self._glance = glance

    def remember(self, spaces: Sequence[Space], key: str, load: Callable[[], bytes], *, ttl_seconds: int) -> Remembered:
        """The cached value under `key`, or what `load` returns, kept until a space is forgotten or the TTL is over."""
        self._glance = self._glance or self._cache.glance()
        if self._glance is None:
            self._cache.count_lookup(spaces[0], False)
            return Remembered(load(), was_cached=False)
        return self._cache.remember(self._glance.generations, spaces, key, load, ttl_seconds=ttl_seconds)

    def forget(self, *spaces: Space) -> None:
        self._cache.forget(*spaces)
        # What this request reads from now on must include its own change.
        self._glance = None

    def is_reachable(self) -> bool:
        return self._cache.is_reachable()
