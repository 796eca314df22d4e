"""/api/v1/auth: registering, logging in and out, tokens, one's own password and API tokens."""

from typing import Any
from uuid import UUID

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import (
    EmailTakenError,
    RefreshTokenReusedError,
    RegistrationClosedError,
    ResetTokenInvalidError,
    SessionEndedError,
    TooManyTokensError,
    UsernameTakenError,
    WrongCredentialsError,
)
from app.http.client_address import client_address
from app.http.idempotency import keeps_no_answer
from app.http.identity.access import current_actor, public, requires
from app.http.identity.bearer import authorization, bearer_tokens
from app.http.openapi import Blueprint, raises, versioned
from app.http.responses import no_content, page_response, value_response, versioned_response
from app.schemas.base import PageQuery
from app.schemas.login import (
    ApiTokenInput,
    ApiTokenPage,
    Login,
    NewApiToken,
    OpenSessions,
    PasswordChange,
    PasswordReset,
    Registration,
    TokenPair,
)
from app.schemas.people import User

blueprint = Blueprint("auth", __name__, url_prefix="/api/v1/auth", description="Logging in and out")


@blueprint.post("/register")
@public
@blueprint.arguments(Registration)
@blueprint.response(201, User)
@raises(RegistrationClosedError, UsernameTakenError, EmailTakenError)
@versioned
def register(values: dict[str, Any]) -> Response:
    """Create an account for yourself, with the role `user`.

    The operator decides whether this is open (`SELF_REGISTRATION_ENABLED`). In production it is closed by default. A
    name that looks like another user's is taken: `user1` where there is `userl`. So is a name that an import has
    given to somebody. An admin hands it over with `POST /api/v1/users`.
    """
    return versioned_response(services().login.register(**values, address=client_address()), 201)


@blueprint.post("/login")
@public
@blueprint.arguments(Login)
@blueprint.response(200, TokenPair)
@raises(WrongCredentialsError)
def log_in(values: dict[str, Any]) -> Response:
    """Exchange a username or an email address and a password for an access token and a refresh token.

    The answer is the same for an unknown name, a wrong password and an inactive account.
    """
    grant = services().login.log_in(login=values["username"], password=values["password"], address=client_address())
    return value_response(bearer_tokens().pair(grant))


@blueprint.post("/refresh")
@public
@blueprint.doc(security=[{"bearer": []}])
@blueprint.response(200, TokenPair)
@raises(SessionEndedError, RefreshTokenReusedError)
def refresh() -> Response:
    """Exchange the refresh token, sent as the bearer token, for the next pair.

    A refresh token can be used once. Within ten seconds, and until its successor was used, it gets the same successor
    again, because an answer may be lost. Using a spent one later ends the session.
    """
    claims = bearer_tokens().read_refresh(authorization())
    grant = services().login.refresh(session_id=claims.session_id, refresh_id=claims.refresh_id)
    return value_response(bearer_tokens().pair(grant))


@blueprint.post("/logout")
@requires(Permission.SESSION_OWN)
@blueprint.response(204)
@keeps_no_answer
def log_out() -> Response:
    """End this session. Its access and refresh tokens are refused from now on."""
    services().login.log_out(current_actor())
    return no_content()


@blueprint.get("/sessions")
@requires(Permission.SESSION_OWN)
@blueprint.response(200, OpenSessions)
def list_sessions() -> Response:
    """List your open sessions, newest first. Each log-in opens one."""
    return value_response({"items": services().sessions.list_open(current_actor())})


@blueprint.delete("/sessions/<uuid:session_id>")
@requires(Permission.SESSION_OWN)
@blueprint.response(204)
def end_session(session_id: UUID) -> Response:
    """End one of your sessions. Its access and refresh tokens are refused from now on."""
    services().sessions.end(current_actor(), session_id)
    return no_content()


@blueprint.delete("/sessions")
@requires(Permission.SESSION_OWN)
@blueprint.response(204)
def end_all_sessions() -> Response:
    """End all of your sessions, including this one."""
    services().sessions.end_all(current_actor())
    return no_content()


@blueprint.get("/me")
@requires(Permission.USER_READ)
@blueprint.response(200, User)
@versioned
def show_me() -> Response:
    """Show your own account."""
    return versioned_response(services().people.get(current_actor(), current_actor().user_id))


@blueprint.put("/password")
@requires(Permission.SESSION_OWN)
@blueprint.arguments(PasswordChange)
@blueprint.response(204)
def change_password(values: dict[str, Any]) -> Response:
    """Change your password. All your other sessions end.

    This counts as a log-in attempt. If the current password is wrong, the answer is 422.
    """
    services().login.change_password(current_actor(), address=client_address(), **values)
    return no_content()


@blueprint.post("/password-reset")
@public
@blueprint.arguments(PasswordReset)
@blueprint.response(204)
@raises(ResetTokenInvalidError)
def reset_password(values: dict[str, Any]) -> Response:
    """Set a new password with the token of a password reset. All your sessions end.

    An admin makes the token for you with `POST /api/v1/users/{user_id}/password-reset`. It can be used once. This
    counts as a log-in attempt. The answer is the same for an unknown, a spent and an expired token. A refused password
    does not spend the token.
    """
    services().password_resets.spend(**values, address=client_address())
    return no_content()


@blueprint.get("/tokens")
@requires(Permission.TOKEN_OWN)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, ApiTokenPage)
def list_tokens(query: dict[str, Any]) -> Response:
    """List your API tokens by id.

    A token that expired or was revoked leaves the list after 90 days.
    """
    return page_response(services().api_tokens.list_page(current_actor(), current_actor().user_id, **query))


@blueprint.post("/tokens")
@requires(Permission.TOKEN_OWN)
@blueprint.arguments(ApiTokenInput)
@blueprint.response(201, NewApiToken)
@raises(TooManyTokensError)
@keeps_no_answer
def create_token(values: dict[str, Any]) -> Response:
    """Make an API token for a script of yours. Only this answer shows it.

    You can have 50 valid tokens.
    """
    made = services().api_tokens.create(current_actor(), current_actor().user_id, **values)
    return value_response({**made.row.values, "token": made.token}, 201)


@blueprint.delete("/tokens/<id:token_id>")
@requires(Permission.TOKEN_OWN)
@blueprint.response(204)
def revoke_token(token_id: int) -> Response:
    """Revoke one of your API tokens. It is refused from now on."""
    services().api_tokens.revoke(current_actor(), current_actor().user_id, token_id)
    return no_content()
