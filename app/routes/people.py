"""/api/v1/users: accounts, and whose tasks are whose."""

from dataclasses import replace
from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.http.identity.access import current_actor, me_or, requires
from app.http.openapi import Blueprint
from app.http.responses import no_content, page_response, row_response
from app.queries.tasks import TaskQuery
from app.schemas.people import User, UserInput, UserPage, UserPatch, UserQuery
from app.schemas.tasks import AssignedTaskListQuery, TaskPage
from app.services.people import UserChanges

blueprint = Blueprint("users", __name__, url_prefix="/api/v1/users", description="Accounts; `me` is an id too")


@blueprint.get("")
@requires(Permission.USER_READ_ALL)
@blueprint.arguments(UserQuery, location="query")
@blueprint.response(200, UserPage)
def list_users(query: dict[str, Any]) -> Response:
    """List the users by id. Managers and admins."""
    return page_response(services().people.list_page(current_actor(), **query))


@blueprint.post("")
@requires(Permission.USER_MANAGE)
@blueprint.arguments(UserInput)
@blueprint.response(201, User)
def create_user(values: dict[str, Any]) -> Response:
    """Make a user with a role. Admins."""
    return row_response(services().people.create(current_actor(), **values), 201)


@blueprint.get("/<user:user_id>")
@requires(Permission.USER_READ)
@blueprint.response(200, User)
def show_user(user_id: int) -> Response:
    """One user: yourself, or anybody for managers and admins."""
    return row_response(services().people.get(current_actor(), me_or(user_id)))


@blueprint.patch("/<user:user_id>")
@requires(Permission.USER_MANAGE)
@blueprint.arguments(UserPatch)
@blueprint.response(200, User)
def change_user(values: UserChanges, user_id: int) -> Response:
    """Change a user. A new password or a deactivation ends the user's sessions. Admins."""
    return row_response(services().people.change(current_actor(), me_or(user_id), values))


@blueprint.delete("/<user:user_id>")
@requires(Permission.USER_MANAGE)
@blueprint.response(204)
def deactivate_user(user_id: int) -> Response:
    """Deactivate a user: nobody is deleted, since the record names them. Admins."""
    services().people.deactivate(current_actor(), me_or(user_id))
    return no_content()


@blueprint.get("/<user:user_id>/tasks")
@requires(Permission.TASK_READ)
@blueprint.arguments(AssignedTaskListQuery, location="query")
@blueprint.response(200, TaskPage)
def list_tasks_of_user(query: TaskQuery, user_id: int) -> Response:
    """List the tasks assigned to a user, of those you can see."""
    page, was_cached = services().task_views.list_page(current_actor(), replace(query, assignee=str(me_or(user_id))))
    return page_response(page, was_cached=was_cached)
