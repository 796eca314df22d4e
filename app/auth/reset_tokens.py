"""The tokens of password resets: how they are made, and what is stored of them."""

import hashlib
import secrets

_BYTES = 32


def new_reset_token() -> str:
    """256 random bits, so a fast hash protects the token well enough."""
    return secrets.token_urlsafe(_BYTES)


def digest_of_text(text: str) -> bytes:
    """The SHA-256 of a token, or of a password hash."""
    return hashlib.sha256(text.encode()).digest()
