"""What a process of the cache keeps itself: entries, and the keys that it was asked for."""

import threading
from collections import OrderedDict
from collections.abc import Callable

# The memory for the entries that a process keeps itself, and the largest of them.
MAX_LOCAL_BYTES = 8 * 1024 * 1024
MAX_LOCAL_VALUE_BYTES = 256 * 1024
# What an entry takes up beside its value: the key, the expiry, a place in the dictionary.
ENTRY_BYTES = 400
# A process notes so many keys that it was asked for.
MAX_ASKED_FOR = 4096


class AskedFor:
    """The last few thousand keys that this process was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: OrderedDict[str, None] = OrderedDict()

    def add(self, key: str) -> bool:
        """Note the key. True if it was there already."""
        with self._lock:
            is_known = key in self._keys
            self._keys[key] = None
            self._keys.move_to_end(key)
            if len(self._keys) > MAX_ASKED_FOR:
                self._keys.popitem(last=False)
            return is_known


class LocalEntries:
    """The entries that this process keeps itself. When they take up too much, the least recently used ones go."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        # For each key its value, and when that expires.
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> bytes | None:
        with self._lock:
            value, expires_at = self._entries.get(key, (None, 0.0))
            if value is None:
                return None
            if self._now() >= expires_at:
                self._remove(key)
                return None
            self._entries.move_to_end(key)
            return value

    def put(self, key: str, value: bytes, *, ttl_seconds: float) -> None:
        if len(value) > MAX_LOCAL_VALUE_BYTES:
            return
        with self._lock:
            if key in self._entries:
                self._remove(key)
            self._entries[key] = value, self._now() + ttl_seconds
            self._bytes += len(value) + ENTRY_BYTES
            while self._bytes > MAX_LOCAL_BYTES:
                self._remove(next(iter(self._entries)))

    def _remove(self, key: str) -> None:
        value, _expires_at = self._entries.pop(key)
        self._bytes -= len(value) + ENTRY_BYTES
