"""Which new passwords are refused: short ones, common ones, words from the account, and runs of characters."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from app.auth.passwords import normal_form

_PRODUCT = ("task", "tasks", "tracker", "tasktracker", "tasktrackerpro")
_LEET = str.maketrans("@4831!0$57+", "aaebiiosstt")
_REPEATED = re.compile(r"(.+?)\1+", re.DOTALL)
# Shorter words of a name occur in many good passwords.
_MIN_WORD_LENGTH = 3


def _read_common() -> frozenset[str]:
    path = Path(__file__).with_name("common_passwords.txt")
    return frozenset(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))


_COMMON = _read_common()


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """The rules for a new password. They do not apply to a log-in, so an older password stays valid."""

    min_length: int

    def problem_with(self, password: str, *, username: str, email: str | None) -> str | None:
        """The reason why this account must not get the password, or None. The schema checks the highest length."""
        password = normal_form(password)
        if password.lower() in {username.lower(), (email or "").lower(), (email or "").lower().partition("@")[0]}:
            return "must not be the username or email address"
        if len(password) < self.min_length:
            return f"must have at least {self.min_length} characters"
        if is_guessable(password, username=username, email=email):
            return "is too easy to guess: it is common, or made of the username, address or product"
        return None


def is_guessable(password: str, *, username: str, email: str | None) -> bool:
    """True for a common password or a word from the account, even with digits and signs around it."""
    words = frozenset(_words_of_account(username, email or ""))
    return any(
        form in _COMMON or form in words or _is_run(form) or all(piece in words for piece in _pieces(form))
        for form in _forms_of(password.lower())
    )


def _forms_of(password: str) -> Iterator[str]:
    """The password as it is and with look-alikes replaced by letters; for both also the stem and the repeated text.

    The stem is the form without the digits and signs at either end.
    """
    for form in (password, password.translate(_LEET)):
        yield form
        stem = form.strip("".join({character for character in form if not character.isalpha()}))
        # A short word with many digits around it is not easy to guess.
        if 2 * len(stem) >= len(password):
            yield stem
        repeated = _REPEATED.fullmatch(form)
        if repeated is not None:
            yield repeated[1]


def _words_of_account(username: str, email: str) -> Iterable[str]:
    local, _at, domain = email.lower().partition("@")
    for name in (username.lower(), local, domain):
        yield name
        yield from (word for word in _pieces(name) if len(word) >= _MIN_WORD_LENGTH)
    yield from _PRODUCT


def _pieces(text: str) -> list[str]:
    return [piece for piece in re.split(r"[\W\d_]+", text) if piece] or [text]


def _is_run(text: str) -> bool:
    """True for one repeated character and for neighbours in order: aaaaaaaa, 23456789, hgfedcba."""
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return len(steps) <= 1 and steps <= {-1, 0, 1}
