"""Whose request this is: bearer tokens signed and read, and the permission that each route declares."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

from flask import Flask, current_app, g, request
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.auth.tokens import Grant
from app.composition.services import services
from app.errors import UnauthenticatedError
from app.settings import Settings

View = TypeVar("View", bound=Callable[..., Any])

ISSUER = "tasktrackerpro"
# What a path's `me` is until the actor is known; no row has it for an id.
ME = -1

MAX_VERIFIED_TOKENS = 4096


class TokenMissingError(UnauthenticatedError):
    code = "token_missing"


class TokenExpiredError(UnauthenticatedError):
    code = "token_expired"


class TokenInvalidError(UnauthenticatedError):
    code = "token_invalid"


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token that we signed."""

    user_id: int
    session_id: UUID


@dataclass(frozen=True, slots=True)
class RefreshClaims(Claims):
    refresh_id: UUID


def init_authentication(app: Flask, settings: Settings) -> None:
    app.config.update(
        JWT_SECRET_KEY=settings.jwt_secret_key,
        JWT_ALGORITHM="HS256",
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_DECODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=ISSUER,
        # Looked at in `_decoded`: tokens of earlier releases name no audience.
        JWT_DECODE_AUDIENCE=None,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=settings.access_token_minutes),
    )
    JWTManager(app)
    app.extensions["verified_tokens"] = {}


def access_token_for(grant: Grant, *, minutes: int | None = None) -> str:
    lifetime = None if minutes is None else timedelta(minutes=minutes)
    claims = {"sid": str(grant.session_id)}
    token: str = create_access_token(str(grant.user_id), additional_claims=claims, expires_delta=lifetime)
    return token


def token_pair_for(grant: Grant) -> dict[str, Any]:
    """The answer to a log-in, in OAuth 2.0's words (RFC 6749 §5.1). `expires_in` is in seconds."""
    claims = {"sid": str(grant.session_id), "rid": str(grant.refresh_id)}
    lifetime: timedelta = current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    return {
        "access_token": access_token_for(grant),
        "refresh_token": create_refresh_token(
            str(grant.user_id), additional_claims=claims, expires_delta=grant.expires_at - datetime.now(UTC)
        ),
        "token_type": "Bearer",
        "expires_in": int(lifetime.total_seconds()),
    }


def current_claims() -> Claims:
    """Read this request's access token, without checking its session. Raises UnauthenticatedError."""
    header = request.headers.get("Authorization", "")
    # A signature stays valid, so each process verifies each token once; when the token
    # expires and whether its session still stands are asked each time.
    verified: dict[str, tuple[Claims, float]] = current_app.extensions["verified_tokens"]
    known = verified.get(header)
    if known is not None and time.time() < known[1]:
        return known[0]
    token = _decoded(header, "access")
    with _refusing_odd_claims():
        claims = Claims(int(token["sub"]), UUID(token["sid"]))
    if len(verified) >= MAX_VERIFIED_TOKENS:
        verified.clear()
    verified[header] = claims, token["exp"]
    return claims


def refresh_claims() -> RefreshClaims:
    """Read this request's refresh token. Raises UnauthenticatedError."""
    token = _decoded(request.headers.get("Authorization", ""), "refresh")
    with _refusing_odd_claims():
        return RefreshClaims(int(token["sub"]), UUID(token["sid"]), UUID(token["rid"]))


def current_actor() -> Actor:
    actor: Actor = g.actor
    return actor


def me_or(user_id: int) -> int:
    """The id that a path names, where it may say `me`."""
    return current_actor().user_id if user_id == ME else user_id


def requires(permission: Permission) -> Callable[[View], View]:
    """Gate one: refuse a request without a good token (401) or whose role may not do this at all (403)."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            claims = current_claims()
            g.actor = services().login.get_actor(session_id=claims.session_id, user_id=claims.user_id)
            ensure_may(g.actor, permission)
            return view(*args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def public(view: View) -> View:
    """Say that a route is open to everybody on purpose; a guard test refuses a route that says neither."""
    view.permission = None  # type: ignore[attr-defined]
    return view


def _decoded(header: str, token_type: str) -> dict[str, Any]:
    """The claims of an Authorization header's token, after its signature, issuer, age and type were checked."""
    if not header:
        raise TokenMissingError("a bearer token is needed: log in first")
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise TokenInvalidError("the Authorization header must read: Bearer <token>")
    try:
        token: dict[str, Any] = decode_token(text)
    except ExpiredSignatureError:
        raise TokenExpiredError("the token has expired") from None
    except (JWTExtendedException, PyJWTError, ValueError):
        raise TokenInvalidError("the token is invalid") from None
    if "exp" not in token or token.get("aud", ISSUER) != ISSUER:
        raise TokenInvalidError("the token is invalid")
    if token.get("type") != token_type:
        raise TokenInvalidError(f"this is no {token_type} token")
    return token


@contextmanager
def _refusing_odd_claims() -> Iterator[None]:
    """A token that we signed and that says what no release of ours says."""
    try:
        yield
    except (KeyError, ValueError, TypeError, AttributeError):
        raise TokenInvalidError("the token is invalid") from None
