"""Authentication by bearer token: `Authorization: Bearer <token>` (RFC 6750)."""

import time
from datetime import timedelta
from typing import Any

from flask import current_app, request

from app.auth.tokens import Claims, Grant, RefreshClaims, TokenCodec, TokenInvalidError
from app.errors import UnauthenticatedError
from app.settings import Settings

MAX_VERIFIED_TOKENS = 4096


class TokenMissingError(UnauthenticatedError):
    code = "token_missing"


class BearerTokens:
    """Issues the api's tokens and reads them from requests."""

    def __init__(self, codec: TokenCodec, lifetime: timedelta) -> None:
        self._codec = codec
        self._lifetime = lifetime
        self._verified: dict[str, Claims] = {}

    def access_token(self, grant: Grant, *, minutes: int | None = None) -> str:
        return self._codec.access_token(grant, self._lifetime if minutes is None else timedelta(minutes=minutes))

    def pair(self, grant: Grant) -> dict[str, Any]:
        """The response to a log-in, with OAuth 2.0's field names (RFC 6749 §5.1). `expires_in` is in seconds."""
        return {
            "access_token": self.access_token(grant),
            "refresh_token": self._codec.refresh_token(grant),
            "token_type": "Bearer",
            "expires_in": int(self._lifetime.total_seconds()),
        }

    def read_access(self, header: str) -> Claims:
        """The claims of the header's access token. Raises UnauthenticatedError.

        A signature stays valid, so each process verifies each token once. The expiry is checked each time.
        """
        claims = self._verified.get(header)
        if claims is not None and time.time() < claims.expires_at:
            return claims
        claims = self._codec.read_access_token(_token_of(header))
        if len(self._verified) >= MAX_VERIFIED_TOKENS:
            self._verified.clear()
        self._verified[header] = claims
        return claims

    def read_refresh(self, header: str) -> RefreshClaims:
        """The claims of the header's refresh token. Raises UnauthenticatedError."""
        return self._codec.read_refresh_token(_token_of(header))


def make_bearer_tokens(settings: Settings) -> BearerTokens:
    lifetime = timedelta(minutes=settings.access_token_minutes)
    codec = TokenCodec(settings.jwt_secret_key, settings.jwt_previous_secret_keys)
    return BearerTokens(codec, lifetime)


def bearer_tokens() -> BearerTokens:
    tokens: BearerTokens = current_app.extensions["bearer_tokens"]
    return tokens


def authorization() -> str:
    """The Authorization header of this request; empty if there is none."""
    authorization: str = request.environ.get("HTTP_AUTHORIZATION", "")
    return authorization


def _token_of(header: str) -> str:
    if not header:
        raise TokenMissingError("a bearer token is needed: log in first")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenInvalidError("the Authorization header must read: Bearer <token>")
    return token
