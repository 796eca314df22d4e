"""How passwords are made, hashed and verified: Argon2id with OWASP's minimum of 19 MiB, two passes, one lane."""

import secrets
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MAX_PASSWORD_LENGTH = 128
GENERATED_PASSWORD_LENGTH = 16

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Each hash takes 19 MiB and a core, so a burst of log-ins queues here and leaves the machine usable.
_slots = threading.BoundedSemaphore(4)


def generate_password(min_length: int) -> str:
    """A random password of letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(MAX_PASSWORD_LENGTH)[: max(min_length, GENERATED_PASSWORD_LENGTH)]


def normal_form(password: str) -> str:
    """The form in which a password is counted, judged and hashed, since keyboards write one letter in several ways.

    It is Unicode's NFKC, as NIST SP 800-63B recommends.
    """
    return unicodedata.normalize("NFKC", password)


def hash_password(password: str) -> str:
    with _slots:
        return _hasher.hash(normal_form(password))


# Verified in place of a missing hash, so that an unknown name takes as long as a known one.
_DUMMY_HASH = _hasher.hash("nobody has this password, and nobody may log in with it")


def is_password(password: str, password_hash: str | None) -> bool:
    """Compare a password with its hash. A missing hash matches nothing and takes as long as a real one.

    Earlier releases hashed passwords as they were typed, so that form matches too.
    """
    forms = dict.fromkeys((normal_form(password), password))
    with _slots:
        matches = any(_matches(form, password_hash or _DUMMY_HASH) for form in forms)
    return matches and password_hash is not None


def _matches(password: str, password_hash: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(password_hash: str) -> bool:
    return _hasher.check_needs_rehash(password_hash)
