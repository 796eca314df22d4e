"""How passwords are hashed and verified: Argon2id with OWASP's minimum of 19 MiB, two passes, one lane."""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 128

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Each hash takes 19 MiB and a core, so a burst of log-ins queues here and leaves the machine usable.
_slots = threading.BoundedSemaphore(4)


def hash_password(password: str) -> str:
    with _slots:
        return _hasher.hash(password)


# Verified in place of a missing hash, so that an unknown name takes as long as a known one.
_DUMMY_HASH = _hasher.hash("nobody has this password, and nobody may log in with it")


def is_password(password: str, password_hash: str | None) -> bool:
    """Compare a password with its hash. A missing hash matches nothing and takes as long as a real one."""
    with _slots:
        try:
            matches = _hasher.verify(password_hash or _DUMMY_HASH, password)
        except (VerificationError, InvalidHashError):
            return False
    return matches and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    return _hasher.check_needs_rehash(password_hash)
