"""/api/v1/tasks: the tasks themselves."""

from dataclasses import asdict
from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import HasSubtasksError, OpenSubtasksError, ParentDeletedError, ProjectArchivedError
from app.http.downloads import csv_response
from app.http.file_answers import CSV
from app.http.identity.access import current_actor, requires
from app.http.openapi import LOCATION, X_CACHE, Blueprint, raises, versioned
from app.http.responses import (
    items_response,
    no_content,
    page_response,
    precondition,
    versioned_or_moved,
    versioned_response,
)
from app.queries.tasks import Selection, TaskKey, TaskQuery
from app.schemas.base import PageQuery
from app.schemas.tasks.answers import FollowerPage, ShownTask, Task, TaskPage, TaskVersionPage
from app.schemas.tasks.inputs import Cascade, TaskInput, TaskPatch, TaskReplacement, TaskStatusChange
from app.schemas.tasks.queries import TaskFilters, TaskListQuery, TaskSelection
from app.services.tasks.history import TaskChange
from app.services.tasks.write import TaskChanges

blueprint = Blueprint("tasks", __name__, url_prefix="/api/v1/tasks", description="Tasks")


@blueprint.get("")
@requires(Permission.TASK_READ)
@blueprint.arguments(TaskListQuery, location="query")
@blueprint.response(200, TaskPage, headers=X_CACHE)
def list_tasks(query: TaskQuery) -> Response:
    """List the tasks that you can see, newest change first. `X-Cache` says whether the page came from the cache.

    `as_of` lists the tasks as they were at that time, from the history. Every filter, including `overdue`, looks at
    the state of that time, and `updated_at` is when that state began. You see the tasks that were in one of your
    projects then, including those that were deleted later. Of a task that is deleted now, users and viewers see only
    what the daily log keeps: no description, labels or `external_ref`, and no filter finds it by them. Before the
    first task came in, the list is empty. A time in the future is refused, with a minute's tolerance for clocks.

    `view` opens a saved view: its filters, sort and fields apply as if they had been sent, and a parameter that is sent
    replaces that of the view. A view that you cannot see is refused (422).
    """
    query = services().saved_views.opened(current_actor(), query)
    page, was_cached = services().task_views.list_page(current_actor(), query)
    return page_response(page, was_cached=was_cached)


@blueprint.get("/export")
@requires(Permission.TASK_READ)
@blueprint.arguments(TaskFilters, location="query")
@blueprint.response(200)
@blueprint.doc(responses={"200": {"description": "OK", "content": CSV}})
def export_tasks(query: TaskQuery) -> Response:
    """Export the tasks that match the filters of the task list, as CSV in the order of ids.

    Times are ISO 8601 in UTC. The import reads the file, but ignores `ref` and `project`: the tasks go into the
    project of the upload. Only managers and admins export deleted tasks.
    """
    query = services().saved_views.opened(current_actor(), query)
    return csv_response(services().task_export.write(current_actor(), query), "tasks.csv")


@blueprint.post("")
@requires(Permission.TASK_CREATE)
@blueprint.arguments(TaskInput)
@blueprint.response(201, Task, headers=LOCATION)
@raises(ParentDeletedError, ProjectArchivedError)
@versioned
def create_task(values: TaskChanges) -> Response:
    """Create a task."""
    task = services().tasks.create(current_actor(), values)
    return versioned_response(task, 201, {"Location": f"/api/v1/tasks/{task.id}"})


@blueprint.get("/<task:task_id>")
@requires(Permission.TASK_READ)
@blueprint.arguments(TaskSelection, location="query")
@blueprint.response(200, ShownTask)
@blueprint.doc(responses={"301": {"description": "The task has another ref now.", "headers": LOCATION}})
@versioned
def show_task(selection: Selection, task_id: TaskKey) -> Response:
    """Show a task. The `ETag` is its version, and `If-None-Match` saves the body.

    Here and in all paths below, `task_id` is the id or the ref, such as `OPS-42`, in any case. A ref changes when the
    task moves to another project, and an id never changes. A former ref still means the task: here the answer is 301
    with the path of the present ref, and every other operation finds the task at once. Only managers and admins see a
    deleted task.
    """
    task = services().task_views.get(current_actor(), task_id, selection)
    return versioned_or_moved(task, task.new_ref(task_id))


@blueprint.get("/<task:task_id>/history")
@requires(Permission.TASK_READ)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, TaskVersionPage)
def list_task_history(query: dict[str, Any], task_id: TaskKey) -> Response:
    """List who changed what in a task, newest change first.

    A state lasts from `at` until just before `until`. A task that is older than the history begins with the state
    that it had then. What the task was in a project that you are not in is left out. Moving a task on the board makes
    no revision. Only managers and admins see the history of a deleted task.
    """
    page = services().task_history.list_page(current_actor(), task_id, **query)
    return items_response([as_json(change) for change in page.items], page.next_cursor)


@blueprint.put("/<task:task_id>")
@requires(Permission.TASK_UPDATE)
@blueprint.arguments(TaskReplacement)
@blueprint.arguments(Cascade, location="query")
@blueprint.response(200, Task)
@raises(OpenSubtasksError, ParentDeletedError, ProjectArchivedError)
@versioned
def replace_task(values: TaskChanges, query: dict[str, bool], task_id: TaskKey) -> Response:
    """Replace a task. With `If-Match`, the answer is 412 if the task has changed since you read it.

    A field that is absent gets its default value. The project and the position stay.
    """
    task = services().tasks.change(current_actor(), task_id, values, may_overwrite=precondition(), **query)
    return versioned_response(task)


@blueprint.patch("/<task:task_id>")
@requires(Permission.TASK_UPDATE)
@blueprint.arguments(TaskPatch)
@blueprint.arguments(Cascade, location="query")
@blueprint.response(200, Task)
@raises(OpenSubtasksError, ParentDeletedError, ProjectArchivedError)
@versioned
def change_task(values: TaskChanges, query: dict[str, bool], task_id: TaskKey) -> Response:
    """Change some fields of a task. With `If-Match`, the answer is 412 if the task has changed since you read it.

    A field that is absent stays as it is. Null empties a field that may be empty.

    A task that has open subtasks does not close: the answer is 409 `open_subtasks` and names them. With
    `cascade=true` they are closed with it. A task takes its subtasks along to another project.
    """
    task = services().tasks.change(current_actor(), task_id, values, may_overwrite=precondition(), **query)
    return versioned_response(task)


@blueprint.route("/<task:task_id>/status", methods=["PUT", "PATCH"])
@requires(Permission.TASK_UPDATE)
@blueprint.arguments(TaskStatusChange)
@blueprint.arguments(Cascade, location="query")
@blueprint.response(200, Task)
@raises(OpenSubtasksError, ProjectArchivedError)
@versioned
def change_task_status(values: TaskChanges, query: dict[str, bool], task_id: TaskKey) -> Response:
    """Change the status, the deadline, or both. With `If-Match`, the answer is 412 if the task has changed since.

    PUT and PATCH do the same: what is absent stays as it is.
    """
    task = services().tasks.change(current_actor(), task_id, values, may_overwrite=precondition(), **query)
    return versioned_response(task)


@blueprint.delete("/<task:task_id>")
@requires(Permission.TASK_DELETE)
@blueprint.arguments(Cascade, location="query")
@blueprint.response(204)
@raises(HasSubtasksError, ProjectArchivedError)
@versioned
def delete_task(query: dict[str, bool], task_id: TaskKey) -> Response:
    """Delete a task so that it can be restored. With `If-Match`, 412 if it has changed since. Managers and admins only.

    Lists and counts leave it out. If there are tasks below it, the answer is 409 `has_subtasks`; with `cascade=true`
    they are deleted too.
    """
    services().tasks.delete(current_actor(), task_id, may_overwrite=precondition(), **query)
    return no_content()


@blueprint.post("/<task:task_id>/restore")
@requires(Permission.TASK_RESTORE)
@blueprint.response(200, Task)
@raises(ParentDeletedError, ProjectArchivedError)
@versioned
def restore_task(task_id: TaskKey) -> Response:
    """Restore a deleted task. Managers and admins only.

    If the task is not deleted, the answer is 404. A task below a deleted one is not restored before that (409).
    """
    return versioned_response(services().tasks.restore(current_actor(), task_id))


@blueprint.get("/<task:task_id>/followers")
@requires(Permission.TASK_READ)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, FollowerPage)
def list_followers(query: dict[str, Any], task_id: TaskKey) -> Response:
    """List who follows a task, since when and why.

    The creator and the assignee follow it, and so do former assignees, people who have commented, people who were
    mentioned and people who chose to. Somebody who left is not in the list, nor is somebody who can no longer see the
    task.
    """
    return page_response(services().task_followers.list_page(current_actor(), task_id, **query))


@blueprint.put("/<task:task_id>/followers/me")
@requires(Permission.TASK_FOLLOW)
@blueprint.response(204)
def follow_task(task_id: TaskKey) -> Response:
    """Follow a task. Everybody who sees it may do this. Following it again changes nothing."""
    services().task_followers.follow(current_actor(), task_id)
    return no_content()


@blueprint.delete("/<task:task_id>/followers/me")
@requires(Permission.TASK_FOLLOW)
@blueprint.response(204)
def leave_task(task_id: TaskKey) -> Response:
    """Leave a task, so that you no longer follow it, even as its creator or assignee.

    You follow it again once you are assigned anew, comment on it, are mentioned, or follow it yourself.
    """
    services().task_followers.leave(current_actor(), task_id)
    return no_content()


def as_json(change: TaskChange) -> dict[str, Any]:
    """A change of a task as clients see it. Its fields `from` and `to` have other names here: `from` is a keyword."""
    fields = [{"field": each.field, "from": each.before, "to": each.after} for each in change.changes]
    return {**asdict(change), "changes": fields}
