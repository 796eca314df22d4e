"""/api/v1/projects: projects, which tasks belong to, and their members."""

from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import ConflictError, InvalidError, ProjectArchivedError, ProjectKeyTakenError
from app.http.identity.access import current_actor, requires
from app.http.openapi import Blueprint, raises, versioned
from app.http.responses import no_content, page_response, precondition, versioned_response
from app.schemas.base import PageQuery
from app.schemas.projects import (
    MemberPage,
    MembersInput,
    Project,
    ProjectInput,
    ProjectListQuery,
    ProjectPage,
    ProjectPatch,
)

blueprint = Blueprint("projects", __name__, url_prefix="/api/v1/projects", description="What tasks belong to")


@blueprint.get("")
@requires(Permission.PROJECT_READ)
@blueprint.arguments(ProjectListQuery, location="query")
@blueprint.response(200, ProjectPage)
def list_projects(query: dict[str, Any]) -> Response:
    """List the projects that you are a member of. Admins see all projects.

    Archived projects have a list of their own, with `archived=true`. A single project also shows its `description`
    and `task_counts`.
    """
    return page_response(services().projects.list_page(current_actor(), **query))


@blueprint.post("")
@requires(Permission.PROJECT_CREATE)
@blueprint.arguments(ProjectInput)
@blueprint.response(201, Project)
@raises(ProjectKeyTakenError)
@versioned
def create_project(values: dict[str, Any]) -> Response:
    """Create a project and become its first member. Managers and admins only."""
    return versioned_response(services().projects.create(current_actor(), **values), 201)


@blueprint.get("/<key>")
@requires(Permission.PROJECT_READ)
@blueprint.response(200, Project)
@versioned
def show_project(key: str) -> Response:
    """Show a project.

    `task_counts` stands beside `wip_limits`: a status with more tasks than its limit is over it. That is only a
    warning, and nothing is refused. The `ETag` changes with the counts, but `If-Match` looks at the project alone.
    """
    return versioned_response(services().projects.get(current_actor(), key))


@blueprint.patch("/<key>")
@requires(Permission.PROJECT_UPDATE)
@blueprint.arguments(ProjectPatch)
@blueprint.response(200, Project)
@raises(ProjectArchivedError)
@versioned
def change_project(values: dict[str, Any], key: str) -> Response:
    """Change the name, description, colour or limits of a project. Managers and admins only. Only admins change `GEN`.

    The key stays, because refs contain it. `wip_limits` replaces all limits. The version counts the changes of the
    project and of its members.
    """
    return versioned_response(services().projects.change(current_actor(), key, may_overwrite=precondition(), **values))


@blueprint.post("/<key>/archive")
@requires(Permission.PROJECT_UPDATE)
@blueprint.response(200, Project)
@raises(ConflictError)
@versioned
def archive_project(key: str) -> Response:
    """Archive a project. Managers and admins only.

    The project and its tasks, members and imports are read-only from then on (409 `project_archived`), and lists leave
    them out unless they are asked for. The past stays as it was. `GEN` cannot be archived (409). Archiving a project
    again changes nothing.
    """
    return versioned_response(services().projects.archive(current_actor(), key))


@blueprint.post("/<key>/unarchive")
@requires(Permission.PROJECT_UPDATE)
@blueprint.response(200, Project)
@versioned
def unarchive_project(key: str) -> Response:
    """Make an archived project an ordinary one again. Managers and admins only.

    For a project that is not archived, this changes nothing.
    """
    return versioned_response(services().projects.restore(current_actor(), key))


@blueprint.get("/<key>/members")
@requires(Permission.PROJECT_READ)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, MemberPage)
def list_members(query: dict[str, Any], key: str) -> Response:
    """List the members of a project. A project that includes everybody lists nobody."""
    return page_response(services().projects.list_members(current_actor(), key, **query))


@blueprint.post("/<key>/members")
@requires(Permission.PROJECT_UPDATE)
@blueprint.arguments(MembersInput)
@blueprint.response(200, Project)
@raises(ConflictError, ProjectArchivedError)
@versioned
def add_members(values: dict[str, Any], key: str) -> Response:
    """Add up to 500 members to a project at once. Managers and admins only.

    Either all of them are members afterwards, or none has become one: if some are unknown, `errors` names them (422).
    Whoever is a member already stays one. The version of the project rises once, or not at all if nobody is new.
    """
    return versioned_response(services().projects.add_members(current_actor(), key, names=values["members"]))


@blueprint.put("/<key>/members/<username>")
@requires(Permission.PROJECT_UPDATE)
@blueprint.response(204)
@raises(ConflictError, InvalidError, ProjectArchivedError)
@versioned
def add_member(key: str, username: str) -> Response:
    """Add a member to a project. Managers and admins only.

    Adding the same member again changes nothing. `If-Match` takes the `ETag` of the project. `GEN` has no list of
    members (409). If there is no such user, the answer is 422.
    """
    services().projects.add_member(current_actor(), key, username=username, may_overwrite=precondition())
    return no_content()


@blueprint.delete("/<key>/members/<username>")
@requires(Permission.PROJECT_UPDATE)
@blueprint.response(204)
@raises(ConflictError, InvalidError, ProjectArchivedError)
@versioned
def remove_member(key: str, username: str) -> Response:
    """Remove a member from a project. Managers and admins only.

    Removing a user who is not a member is no error. `If-Match` takes the `ETag` of the project. `GEN` has no list of
    members (409). If there is no such user, the answer is 422.
    """
    services().projects.remove_member(current_actor(), key, username=username, may_overwrite=precondition())
    return no_content()
