"""Access and refresh tokens: how JSON Web Tokens (RFC 7519) are signed and verified, however they are sent."""

import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt

from app.errors import UnauthenticatedError

ALGORITHM = "HS256"
ISSUER = AUDIENCE = "tasktrackerpro"
REQUIRED_CLAIMS = ["iss", "exp", "type"]


class TokenExpiredError(UnauthenticatedError):
    code = "token_expired"


class TokenInvalidError(UnauthenticatedError):
    code = "token_invalid"


@dataclass(frozen=True, slots=True)
class Grant:
    """The outcome of a log-in or a refresh: the right to an access token now and to one refresh later."""

    user_id: int
    session_id: UUID
    refresh_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of an access token. `expires_at` is in seconds since 1970, as the token has it."""

    user_id: int
    session_id: UUID
    expires_at: float

    @property
    def caller(self) -> str:
        """The name that limits count this caller under; it needs no look into the database."""
        return caller_of(self.user_id)


@dataclass(frozen=True, slots=True)
class RefreshClaims(Claims):
    refresh_id: UUID


class TokenCodec:
    """Signs tokens with one key, and verifies those of this key and of the keys before it.

    A token names its key in its header, as `kid`. A token of an earlier release names none. It is verified with the
    present key, and may lack an audience.
    """

    def __init__(self, secret: str, previous_secrets: Sequence[str] = ()) -> None:
        self._secret = secret
        self._key_id = key_id_of(secret)
        self._secrets = {key_id_of(each): each for each in (*previous_secrets, secret)}

    def access_token(self, grant: Grant, lifetime: timedelta) -> str:
        return self._signed("access", grant, datetime.now(UTC) + lifetime)

    def refresh_token(self, grant: Grant) -> str:
        """A token that is valid until its session expires."""
        return self._signed("refresh", grant, grant.expires_at, rid=str(grant.refresh_id))

    def read_access_token(self, token: str) -> Claims:
        """Raises TokenExpiredError or TokenInvalidError. The caller must check the session."""
        claims = self._verified("access", token)
        with _refusing_malformed_claims():
            return Claims(int(claims["sub"]), UUID(claims["sid"]), claims["exp"])

    def read_refresh_token(self, token: str) -> RefreshClaims:
        """Raises TokenExpiredError or TokenInvalidError. The caller must check the session."""
        claims = self._verified("refresh", token)
        with _refusing_malformed_claims():
            return RefreshClaims(int(claims["sub"]), UUID(claims["sid"]), claims["exp"], UUID(claims["rid"]))

    def _signed(self, token_type: str, grant: Grant, expires_at: datetime, **extra_claims: str) -> str:
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(grant.user_id),
            "sid": str(grant.session_id),
            "type": token_type,
            "iat": now,
            "nbf": now,
            "exp": expires_at,
            "jti": str(uuid4()),
        }
        return jwt.encode({**claims, **extra_claims}, self._secret, ALGORITHM, headers={"kid": self._key_id})

    def _verified(self, token_type: str, token: str) -> dict[str, Any]:
        """Check a token's signature, issuer, audience, expiry and type, and return its claims."""
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret_of(key_id),
                [ALGORITHM],
                issuer=ISSUER,
                options={
                    "verify_aud": False,  # checked below
                    "require": REQUIRED_CLAIMS if key_id is None else [*REQUIRED_CLAIMS, "aud"],
                },
            )
        except jwt.ExpiredSignatureError:
            raise TokenExpiredError("the token has expired") from None
        except (jwt.PyJWTError, ValueError):
            raise TokenInvalidError("the token is invalid") from None
        if claims.get("aud", AUDIENCE) != AUDIENCE:
            raise TokenInvalidError("the token is invalid")
        if claims["type"] != token_type:
            raise TokenInvalidError(f"this is no {token_type} token")
        return claims

    def _secret_of(self, key_id: str | None) -> str:
        """The key that a token names. Raises InvalidTokenError if there is no such key."""
        if key_id is None:
            return self._secret
        if key_id not in self._secrets:
            raise jwt.InvalidTokenError
        return self._secrets[key_id]


def key_id_of(secret: str) -> str:
    """The public name of a key. It tells no more about the key than a token that the key has signed."""
    return hmac.digest(secret.encode(), b"the id of a key", "sha256").hex()[:16]


def caller_of(user_id: int) -> str:
    """The name that limits count a user under, however the user has proved who they are."""
    return f"user:{user_id}"


@contextmanager
def _refusing_malformed_claims() -> Iterator[None]:
    """Refuse a token with a valid signature whose claims no release has written."""
    try:
        yield
    except (KeyError, ValueError, TypeError, AttributeError):
        raise TokenInvalidError("the token is invalid") from None
