"""/api/v1/users: accounts, and the tasks that are assigned to them."""

from dataclasses import replace
from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import EmailTakenError, LastAdminError, UsernameTakenError
from app.http.identity.access import current_actor, me_or, requires
from app.http.openapi import X_CACHE, Blueprint, raises
from app.http.responses import no_content, page_response, row_response
from app.queries.tasks import TaskQuery
from app.schemas.people import User, UserInput, UserPage, UserPatch, UserQuery
from app.schemas.tasks.answers import TaskPage
from app.schemas.tasks.queries import AssignedTaskListQuery
from app.services.people import UserChanges

blueprint = Blueprint("users", __name__, url_prefix="/api/v1/users", description="Accounts; `me` is an id too")


@blueprint.get("")
@requires(Permission.USER_READ_ALL)
@blueprint.arguments(UserQuery, location="query")
@blueprint.response(200, UserPage)
def list_users(query: dict[str, Any]) -> Response:
    """List users by id. Managers and admins only.

    An account that an import created has no email address (null) and is inactive.
    """
    return page_response(services().people.list_page(current_actor(), **query))


@blueprint.post("")
@requires(Permission.USER_MANAGE)
@blueprint.arguments(UserInput)
@blueprint.response(201, User)
@raises(UsernameTakenError, EmailTakenError)
def create_user(values: dict[str, Any]) -> Response:
    """Create a user with a role. Admins only.

    If an import created an account with this name, and it never had a password, the account gets these values. It
    keeps its id, tasks and projects, and the user can log in.
    """
    return row_response(services().people.create(current_actor(), **values), 201)


@blueprint.get("/<user:user_id>")
@requires(Permission.USER_READ)
@blueprint.response(200, User)
def show_user(user_id: int) -> Response:
    """Show a user: yourself, or anybody for managers and admins."""
    return row_response(services().people.get(current_actor(), me_or(user_id)))


@blueprint.patch("/<user:user_id>")
@requires(Permission.USER_MANAGE)
@blueprint.arguments(UserPatch)
@blueprint.response(200, User)
@raises(UsernameTakenError, EmailTakenError, LastAdminError)
def change_user(values: UserChanges, user_id: int) -> Response:
    """Change a user. Admins only.

    A field that is absent stays as it is. A new password or a deactivation ends the user's sessions. An account
    without a password cannot be activated without giving it one.
    """
    return row_response(services().people.change(current_actor(), me_or(user_id), values))


@blueprint.delete("/<user:user_id>")
@requires(Permission.USER_MANAGE)
@blueprint.response(204)
@raises(LastAdminError)
def deactivate_user(user_id: int) -> Response:
    """Deactivate a user. Admins only.

    The account stays, because the history names it, but nobody can log in to it. The last active admin cannot be
    deactivated.
    """
    services().people.deactivate(current_actor(), me_or(user_id))
    return no_content()


@blueprint.get("/<user:user_id>/tasks")
@requires(Permission.TASK_READ)
@blueprint.arguments(AssignedTaskListQuery, location="query")
@blueprint.response(200, TaskPage, headers=X_CACHE)
def list_tasks_of_user(query: TaskQuery, user_id: int) -> Response:
    """List the tasks that are assigned to a user, as far as you can see them."""
    page, was_cached = services().task_views.list_page(current_actor(), replace(query, assignee=str(me_or(user_id))))
    return page_response(page, was_cached=was_cached)
