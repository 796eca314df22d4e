"""/api/v1/projects: what tasks belong to, and who is in it."""

from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.http.identity.access import current_actor, requires
from app.http.openapi import Blueprint
from app.http.responses import no_content, page_response, row_response
from app.schemas.base import PageQuery
from app.schemas.projects import MemberPage, Project, ProjectInput, ProjectPage, ProjectPatch

blueprint = Blueprint("projects", __name__, url_prefix="/api/v1/projects", description="What tasks belong to")


@blueprint.get("")
@requires(Permission.PROJECT_READ)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, ProjectPage)
def list_projects(query: dict[str, Any]) -> Response:
    """List the projects you are in; all of them for admins."""
    return page_response(services().projects.list_page(current_actor(), **query))


@blueprint.post("")
@requires(Permission.PROJECT_CREATE)
@blueprint.arguments(ProjectInput)
@blueprint.response(201, Project)
def create_project(values: dict[str, Any]) -> Response:
    """Make a project and be its first member. Managers and admins."""
    return row_response(services().projects.create(current_actor(), **values), 201)


@blueprint.get("/<key>")
@requires(Permission.PROJECT_READ)
@blueprint.response(200, Project)
def show_project(key: str) -> Response:
    """One project, by its key."""
    return row_response(services().projects.get(current_actor(), key))


@blueprint.patch("/<key>")
@requires(Permission.PROJECT_UPDATE)
@blueprint.arguments(ProjectPatch)
@blueprint.response(200, Project)
def rename_project(values: dict[str, Any], key: str) -> Response:
    """Rename a project. Its key stays, since refs are made of it. Managers and admins."""
    return row_response(services().projects.rename(current_actor(), key, **values))


@blueprint.get("/<key>/members")
@requires(Permission.PROJECT_READ)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, MemberPage)
def list_members(query: dict[str, Any], key: str) -> Response:
    """List who is in a project. A project that includes everyone lists nobody."""
    return page_response(services().projects.list_members(current_actor(), key, **query))


@blueprint.put("/<key>/members/<username>")
@requires(Permission.PROJECT_UPDATE)
@blueprint.response(204)
def add_member(key: str, username: str) -> Response:
    """Put a user into a project; doing it twice is doing it once. Managers and admins."""
    services().projects.add_member(current_actor(), key, username=username)
    return no_content()


@blueprint.delete("/<key>/members/<username>")
@requires(Permission.PROJECT_UPDATE)
@blueprint.response(204)
def remove_member(key: str, username: str) -> Response:
    """Take a user out of a project. Managers and admins."""
    services().projects.remove_member(current_actor(), key, username=username)
    return no_content()
