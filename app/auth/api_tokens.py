"""The text of API tokens: `ttp_`, 33 random characters and a checksum of 6, all letters and digits.

Secret scanners recognise a token by its prefix and its checksum, as they recognise those of GitHub. The checksum proves
nothing, since everybody can compute it. It only catches typing errors, before anybody asks the database.
"""

import hashlib
import re
import secrets
import string
import zlib

from app.auth.tokens import TokenInvalidError

PREFIX = "ttp_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
# More than 196 random bits.
RANDOM_LENGTH = 33
# Enough for 32 bits.
CHECKSUM_LENGTH = 6

_TOKEN = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{RANDOM_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})")


def new_token() -> str:
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return f"{PREFIX}{random}{checksum_of(random)}"


def checksum_of(random: str) -> str:
    """The CRC-32 of the random part, in base 62."""
    rest, digits = zlib.crc32(random.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def digest_of(token: str) -> bytes:
    """The SHA-256 by which a token is found. Raises TokenInvalidError if the token was mistyped.

    A slow hash, as for passwords, would protect nothing: a token cannot be guessed.
    """
    match = _TOKEN.fullmatch(token)
    if match is None or checksum_of(match[1]) != match[2]:
        raise TokenInvalidError("the token is invalid")
    return hashlib.sha256(token.encode()).digest()
