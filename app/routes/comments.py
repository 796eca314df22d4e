"""/api/v1/tasks/{task_id}/comments and /api/v1/comments: what people write about tasks."""

from dataclasses import asdict
from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import ForbiddenError, ProjectArchivedError
from app.http.downloads import csv_response
from app.http.file_answers import CSV
from app.http.identity.access import current_actor, requires
from app.http.openapi import LOCATION, Blueprint, raises, versioned
from app.http.responses import items_response, no_content, page_response, precondition, versioned_response
from app.queries.comments import CommentQuery
from app.queries.tasks import TaskKey
from app.schemas.base import PageQuery
from app.schemas.comments import (
    Comment,
    CommentExportQuery,
    CommentInput,
    CommentListQuery,
    CommentPage,
    CommentVersionPage,
)

blueprint = Blueprint("comments", __name__, url_prefix="/api/v1", description="What people write about tasks")


@blueprint.get("/comments/export")
@requires(Permission.TASK_READ)
@blueprint.arguments(CommentExportQuery, location="query")
@blueprint.response(200)
@blueprint.doc(responses={"200": {"description": "OK", "content": CSV}})
def export_comments(query: dict[str, Any]) -> Response:
    """Export the comments that you can see, as CSV in the order of ids.

    The columns are the task's ref, its `external_ref`, the author, the time and the body. Deleted comments and those of
    deleted tasks are left out. A body that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    return csv_response(services().comment_export.write(current_actor(), projects=query["project"]), "comments.csv")


@blueprint.get("/tasks/<task:task_id>/comments")
@requires(Permission.TASK_READ)
@blueprint.arguments(CommentListQuery, location="query")
@blueprint.response(200, CommentPage)
def list_comments(query: CommentQuery, task_id: TaskKey) -> Response:
    """List the comments of a task, oldest first.

    Everybody who sees the task sees them. `as_of` lists them as they were at that time: those that were there, with the
    text that they had. A comment that has been deleted since then is only shown to managers and admins.
    """
    return page_response(services().comment_views.list_page(current_actor(), task_id, query))


@blueprint.post("/tasks/<task:task_id>/comments")
@requires(Permission.COMMENT_WRITE)
@blueprint.arguments(CommentInput)
@blueprint.response(201, Comment, headers=LOCATION)
@raises(ProjectArchivedError)
@versioned
def create_comment(values: dict[str, Any], task_id: TaskKey) -> Response:
    """Comment on a task. Everybody who sees it may do this, except viewers.

    The body is Markdown with tables, strikethrough and bare web addresses, without HTML. Only `http`, `https` and
    `mailto` become links, and an image becomes a link to it. `@username` outside of code and links mentions a person,
    if that person can see the task; any other name stays text. The author and those who are mentioned follow the task
    from then on. Nobody comments on a deleted task (404).
    """
    comment = services().comments.create(current_actor(), task_id, **values)
    location = f"/api/v1/tasks/{task_id}/comments/{comment.id}"
    return versioned_response(comment, 201, {"Location": location})


@blueprint.get("/tasks/<task:task_id>/comments/<id:comment_id>")
@requires(Permission.TASK_READ)
@blueprint.response(200, Comment)
@versioned
def show_comment(task_id: TaskKey, comment_id: int) -> Response:
    """Show a comment. Only managers and admins see a deleted one."""
    return versioned_response(services().comment_views.get(current_actor(), task_id, comment_id))


@blueprint.patch("/tasks/<task:task_id>/comments/<id:comment_id>")
@requires(Permission.COMMENT_WRITE)
@blueprint.arguments(CommentInput)
@blueprint.response(200, Comment)
@raises(ForbiddenError, ProjectArchivedError)
@versioned
def edit_comment(values: dict[str, Any], task_id: TaskKey, comment_id: int) -> Response:
    """Edit a comment of your own. With `If-Match`, the answer is 412 if it has changed since you read it.

    Nobody edits the comment of somebody else (403). The earlier text stays among the versions. Whoever is mentioned for
    the first time follows the task from then on.
    """
    comment = services().comments.edit(current_actor(), task_id, comment_id, may_overwrite=precondition(), **values)
    return versioned_response(comment)


@blueprint.delete("/tasks/<task:task_id>/comments/<id:comment_id>")
@requires(Permission.COMMENT_WRITE)
@blueprint.response(204)
@raises(ForbiddenError, ProjectArchivedError)
@versioned
def delete_comment(task_id: TaskKey, comment_id: int) -> Response:
    """Delete a comment of your own, or as a manager or admin any comment. With `If-Match`, 412 if it has changed since.

    Lists and counts leave it out. Its versions stay, for managers and admins.
    """
    services().comments.delete(current_actor(), task_id, comment_id, may_overwrite=precondition())
    return no_content()


@blueprint.post("/tasks/<task:task_id>/comments/<id:comment_id>/restore")
@requires(Permission.COMMENT_MODERATE)
@blueprint.response(200, Comment)
@raises(ProjectArchivedError)
@versioned
def restore_comment(task_id: TaskKey, comment_id: int) -> Response:
    """Restore a deleted comment. Managers and admins only.

    If the comment is not deleted, the answer is 404.
    """
    return versioned_response(services().comments.restore(current_actor(), task_id, comment_id))


@blueprint.get("/tasks/<task:task_id>/comments/<id:comment_id>/versions")
@requires(Permission.TASK_READ)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, CommentVersionPage)
def list_comment_versions(query: dict[str, Any], task_id: TaskKey, comment_id: int) -> Response:
    """List every version of a comment with its text, newest first.

    A version lasts from `at` until just before `until`. No version is ever changed.
    """
    page = services().comment_views.list_versions(current_actor(), task_id, comment_id, **query)
    return items_response([asdict(state) for state in page.items], page.next_cursor)
