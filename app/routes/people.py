"""/api/v1/users: accounts, their API tokens, and the tasks that are assigned to them."""

from dataclasses import replace
from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import (
    AccountMergedError,
    CannotBeMergedError,
    CannotLogInError,
    EmailTakenError,
    LastAdminError,
    NotAServiceAccountError,
    ProjectArchivedError,
    TooManyTokensError,
    UsernameTakenError,
)
from app.http.idempotency import keeps_no_answer
from app.http.identity.access import current_actor, me_or, requires
from app.http.openapi import X_CACHE, Blueprint, raises, versioned
from app.http.responses import no_content, page_response, precondition, value_response, versioned_response
from app.queries.tasks import TaskQuery
from app.schemas.base import PageQuery
from app.schemas.login import ApiTokenInput, ApiTokenPage, NewApiToken, NewPasswordReset
from app.schemas.people import ServiceAccountInput, User, UserInput, UserPage, UserPatch, UserQuery
from app.schemas.tasks.answers import TaskPage
from app.schemas.tasks.handover import Handover, Reassignment, UserMerge
from app.schemas.tasks.queries import AssignedTaskListQuery
from app.services.people import UserChanges

blueprint = Blueprint("users", __name__, url_prefix="/api/v1/users", description="Accounts; `me` is an id too")


@blueprint.get("")
@requires(Permission.USER_READ_ALL)
@blueprint.arguments(UserQuery, location="query")
@blueprint.response(200, UserPage)
def list_users(query: dict[str, Any]) -> Response:
    """List users by id. Managers and admins only.

    An account that an import created has no email address (null) and is inactive. A service account has no email
    address either.
    """
    return page_response(services().people.list_page(current_actor(), **query))


@blueprint.post("")
@requires(Permission.USER_MANAGE)
@blueprint.arguments(UserInput)
@blueprint.response(201, User)
@raises(UsernameTakenError, EmailTakenError)
@versioned
def create_user(values: dict[str, Any]) -> Response:
    """Create a user with a role. Admins only.

    If an import created an account with this name, and it never had a password, the account gets these values. It
    keeps its id, tasks and projects, and the user can log in. No API token may make an admin.
    """
    return versioned_response(services().people.create(current_actor(), **values), 201)


@blueprint.post("/service-accounts")
@requires(Permission.USER_MANAGE)
@blueprint.arguments(ServiceAccountInput)
@blueprint.response(201, User)
@raises(UsernameTakenError)
@versioned
def create_service_account(values: dict[str, Any]) -> Response:
    """Create a service account: a user for scripts. Admins only.

    It has a role, and projects and tasks like every user. Nobody can log in to it: it acts by the API tokens that an
    admin makes for it.
    """
    return versioned_response(services().people.create_service_account(current_actor(), **values), 201)


@blueprint.get("/<user:user_id>")
@requires(Permission.USER_READ)
@blueprint.response(200, User)
@versioned
def show_user(user_id: int) -> Response:
    """Show a user: yourself, or anybody for managers and admins."""
    return versioned_response(services().people.get(current_actor(), me_or(user_id)))


@blueprint.patch("/<user:user_id>")
@requires(Permission.USER_MANAGE)
@blueprint.arguments(UserPatch)
@blueprint.response(200, User)
@raises(UsernameTakenError, EmailTakenError, LastAdminError, AccountMergedError)
@versioned
def change_user(values: UserChanges, user_id: int) -> Response:
    """Change a user. Admins only.

    A field that is absent stays as it is. A new password or a deactivation ends the user's sessions. A deactivation
    also revokes the user's API tokens. An account without a password cannot be activated without giving it one, unless
    it is a service account, which has neither a password nor an email address. No API token may change a password or
    make an admin.
    """
    return versioned_response(
        services().people.change(current_actor(), me_or(user_id), values, may_overwrite=precondition())
    )


@blueprint.delete("/<user:user_id>")
@requires(Permission.USER_MANAGE)
@blueprint.response(204)
@raises(LastAdminError, AccountMergedError)
@versioned
def deactivate_user(user_id: int) -> Response:
    """Deactivate a user. Admins only.

    The account stays, because the history names it, but nobody can log in to it, and its API tokens are revoked. The
    last active admin who can log in cannot be deactivated.
    """
    services().people.deactivate(current_actor(), me_or(user_id), may_overwrite=precondition())
    return no_content()


@blueprint.post("/<user:user_id>/password-reset")
@requires(Permission.PASSWORD_RESET)
@blueprint.response(201, NewPasswordReset)
@raises(CannotLogInError)
@keeps_no_answer
def make_password_reset(user_id: int) -> Response:
    """Let a user who forgot their password set a new one. Admins only. Only this answer shows the token.

    Give the token to the user, who sends it to `POST /api/v1/auth/password-reset`. It replaces an earlier one. The
    operator decides how long it is valid (`PASSWORD_RESET_HOURS`). The old password stays valid until then. A new
    password that was set in another way ends the token.
    """
    made = services().password_resets.make(current_actor(), me_or(user_id))
    return value_response({"token": made.token, "expires_at": made.expires_at}, 201)


@blueprint.get("/<user:user_id>/tasks")
@requires(Permission.TASK_READ)
@blueprint.arguments(AssignedTaskListQuery, location="query")
@blueprint.response(200, TaskPage, headers=X_CACHE)
def list_tasks_of_user(query: TaskQuery, user_id: int) -> Response:
    """List the tasks that are assigned to a user, as far as you can see them.

    `view` opens a saved view, as in the list of all tasks. The assignee of the view does not matter.
    """
    query = replace(services().saved_views.opened(current_actor(), query), assignee=str(me_or(user_id)))
    page, was_cached = services().task_views.list_page(current_actor(), query)
    return page_response(page, was_cached=was_cached)


@blueprint.post("/<user:user_id>/reassign")
@requires(Permission.TASK_REASSIGN)
@blueprint.arguments(Reassignment)
@blueprint.response(200, Handover)
@raises(ProjectArchivedError)
def reassign_tasks_of_user(values: dict[str, Any], user_id: int) -> Response:
    """Give the tasks of a user to another one. Managers in their projects, and admins everywhere.

    All tasks that are assigned to the user and not deleted change hands at once, or none: the new assignee must be
    active, and a member of each of the projects or an admin. With `only_active`, tasks that are done or cancelled stay.
    Tasks of archived projects stay too.
    """
    return value_response({"task_count": services().handover.reassign(current_actor(), me_or(user_id), **values)})


@blueprint.post("/<user:user_id>/merge")
@requires(Permission.USER_MANAGE)
@blueprint.arguments(UserMerge)
@blueprint.response(200, Handover)
@raises(CannotBeMergedError)
def merge_user(values: dict[str, Any], user_id: int) -> Response:
    """Merge an account that an import created into the account of the person. Admins only.

    The person takes over all tasks, projects and comments, and follows what the account follows. Later imports that
    name the merged account mean the person. The account stays, inactive for good, because past days and the history
    name it. An account that ever had a password, and a service account, cannot be merged.
    """
    return value_response({"task_count": services().handover.merge(current_actor(), me_or(user_id), **values)})


@blueprint.get("/<user:user_id>/tokens")
@requires(Permission.TOKEN_MANAGE)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, ApiTokenPage)
def list_tokens_of_user(query: dict[str, Any], user_id: int) -> Response:
    """List the API tokens of a user by id. Admins only."""
    return page_response(services().api_tokens.list_page(current_actor(), me_or(user_id), **query))


@blueprint.post("/<user:user_id>/tokens")
@requires(Permission.TOKEN_MANAGE)
@blueprint.arguments(ApiTokenInput)
@blueprint.response(201, NewApiToken)
@raises(NotAServiceAccountError, TooManyTokensError)
@keeps_no_answer
def create_token_for_service_account(values: dict[str, Any], user_id: int) -> Response:
    """Make an API token for a service account. Admins only. Only this answer shows it.

    Other users make their tokens themselves (409).
    """
    made = services().api_tokens.create(current_actor(), me_or(user_id), **values)
    return value_response({**made.row.values, "token": made.token}, 201)


@blueprint.delete("/<user:user_id>/tokens/<id:token_id>")
@requires(Permission.TOKEN_MANAGE)
@blueprint.response(204)
def revoke_token_of_user(user_id: int, token_id: int) -> Response:
    """Revoke an API token of a user. Admins only. It is refused from now on."""
    services().api_tokens.revoke(current_actor(), me_or(user_id), token_id)
    return no_content()
