"""The actor of a request, and the permission that each route declares."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import g, request

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.auth.tokens import Claims
from app.composition.services import services
from app.errors import UnauthenticatedError
from app.http.idempotency import answered_once, is_answered_once, sent_key
from app.http.identity.api_token import PresentedToken, api_tokens, holds_api_token
from app.http.identity.bearer import authorization, bearer_tokens
from app.http.steps import Exchange, Steps

View = TypeVar("View", bound=Callable[..., Any])

# Stands for `me` in a path until the actor is known. No row has this id.
ME = -1


# The proof of a caller's identity. Another kind of proof needs a module beside `bearer`, a member of this union, and a
# case in `_read_credential` and in `_actor_of`. Its `caller` is the name that limits count the caller under, or None if
# they should count the address.
Credential = Claims | PresentedToken


def init_credentials(steps: Steps) -> None:
    """Verify each request's credential once, without a look into the database."""

    @steps.before
    def note_credential(exchange: Exchange) -> None:
        """Steps that count by user find None if there is no valid credential. `requires` refuses such a request."""
        try:
            exchange.g.credential = _read_credential()
        except UnauthenticatedError:
            exchange.g.credential = None


def _read_credential() -> Credential:
    """The verified credential of this request. Raises UnauthenticatedError."""
    header = authorization()
    return api_tokens().read(header) if holds_api_token(header) else bearer_tokens().read_access(header)


def _actor_of(credential: Credential) -> Actor:
    """The user behind a credential, as of now. Raises UnauthenticatedError if it is no longer valid."""
    match credential:
        case Claims():
            return services().actors.get(session_id=credential.session_id, user_id=credential.user_id)
        case PresentedToken():
            return _owner_of(credential)


def _owner_of(token: PresentedToken) -> Actor:
    try:
        owner = services().actors.get_owner(token.digest)
    except UnauthenticatedError:
        api_tokens().refuse(token)
        raise
    api_tokens().accept(token, owner)
    return owner


def requires(permission: Permission) -> Callable[[View], View]:
    """The first gate: refuse a request without a valid token (401) or from a role without the permission (403)."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.actor = actor = _actor_of(g.credential or _read_credential())
            ensure_may(actor, permission)
            if is_answered_once(request.method, guarded) and (key := sent_key()) is not None:
                return answered_once(actor, key, lambda: view(*args, **kwargs))
            return view(*args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def public(view: View) -> View:
    """Declare a route open to everybody. A guard test refuses a route that declares nothing."""
    view.permission = None  # type: ignore[attr-defined]
    return view


def current_actor() -> Actor:
    actor: Actor = g.actor
    return actor


def me_or(user_id: int) -> int:
    """The user id in a path, with `me` replaced by the actor's id."""
    return current_actor().user_id if user_id == ME else user_id
