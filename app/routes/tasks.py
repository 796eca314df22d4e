"""/api/v1/tasks: the tasks themselves."""

from dataclasses import asdict
from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.http.downloads import csv_response
from app.http.identity.access import current_actor, requires
from app.http.openapi import CSV, Blueprint
from app.http.responses import items_response, no_content, page_response, precondition_of, task_response
from app.queries.tasks import TaskQuery
from app.schemas.base import PageQuery
from app.schemas.reports import TaskVersionPage
from app.schemas.tasks import (
    Task,
    TaskFilters,
    TaskInput,
    TaskListQuery,
    TaskPage,
    TaskPatch,
    TaskReplacement,
    TaskStatusChange,
)
from app.services.tasks.history import TaskChange
from app.services.tasks.write import TaskChanges

blueprint = Blueprint("tasks", __name__, url_prefix="/api/v1/tasks", description="Tasks")


@blueprint.get("")
@requires(Permission.TASK_READ)
@blueprint.arguments(TaskListQuery, location="query")
@blueprint.response(200, TaskPage)
def list_tasks(query: TaskQuery) -> Response:
    """List the tasks you can see, newest change first. `X-Cache` tells whether the page came from the cache."""
    page, was_cached = services().task_views.list_page(current_actor(), query)
    return page_response(page, was_cached=was_cached)


@blueprint.get("/export")
@requires(Permission.TASK_READ)
@blueprint.arguments(TaskFilters, location="query")
@blueprint.response(200)
@blueprint.doc(responses={"200": {"description": "OK", "content": CSV}})
def export_tasks(query: TaskQuery) -> Response:
    """Write the tasks you can see as CSV, by the list's filters and in the order of ids; the import reads it back."""
    return csv_response(services().task_export.write(current_actor(), query), "tasks.csv")


@blueprint.post("")
@requires(Permission.TASK_CREATE)
@blueprint.arguments(TaskInput)
@blueprint.response(201, Task)
def create_task(values: TaskChanges) -> Response:
    """Create a task; in the project GEN unless you name another."""
    task = services().tasks.create(current_actor(), values)
    return task_response(task, 201, {"Location": f"/api/v1/tasks/{task.id}"})


@blueprint.get("/<id:task_id>")
@requires(Permission.TASK_READ)
@blueprint.response(200, Task)
def show_task(task_id: int) -> Response:
    """One task. Its ETag is its version: `If-None-Match` saves the body."""
    return task_response(services().task_views.get(current_actor(), task_id))


@blueprint.get("/<id:task_id>/history")
@requires(Permission.TASK_READ)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, TaskVersionPage)
def list_task_history(query: dict[str, Any], task_id: int) -> Response:
    """Who changed what from what to what, newest first."""
    page = services().task_history.list_page(current_actor(), task_id, **query)
    return items_response([as_json(change) for change in page.items], page.next_cursor)


@blueprint.put("/<id:task_id>")
@requires(Permission.TASK_UPDATE)
@blueprint.arguments(TaskReplacement)
@blueprint.response(200, Task)
def replace_task(values: TaskChanges, task_id: int) -> Response:
    """Replace a task. With `If-Match`, 412 when somebody changed it since you read it."""
    return task_response(
        services().tasks.change(current_actor(), task_id, values, may_overwrite=precondition_of(task_id))
    )


@blueprint.patch("/<id:task_id>")
@requires(Permission.TASK_UPDATE)
@blueprint.arguments(TaskPatch)
@blueprint.response(200, Task)
def change_task(values: TaskChanges, task_id: int) -> Response:
    """Change some fields: absent stays, null takes away. With `If-Match`, 412 when somebody was faster."""
    return task_response(
        services().tasks.change(current_actor(), task_id, values, may_overwrite=precondition_of(task_id))
    )


@blueprint.route("/<id:task_id>/status", methods=["PUT", "PATCH"])
@requires(Permission.TASK_UPDATE)
@blueprint.arguments(TaskStatusChange)
@blueprint.response(200, Task)
def change_task_status(values: TaskChanges, task_id: int) -> Response:
    """Change the status, the deadline, or both."""
    return task_response(
        services().tasks.change(current_actor(), task_id, values, may_overwrite=precondition_of(task_id))
    )


@blueprint.delete("/<id:task_id>")
@requires(Permission.TASK_DELETE)
@blueprint.response(204)
def delete_task(task_id: int) -> Response:
    """Delete a task softly; it can be restored. Managers and admins."""
    services().tasks.delete(current_actor(), task_id, may_overwrite=precondition_of(task_id))
    return no_content()


@blueprint.post("/<id:task_id>/restore")
@requires(Permission.TASK_RESTORE)
@blueprint.response(200, Task)
def restore_task(task_id: int) -> Response:
    """Bring a deleted task back. Managers and admins."""
    return task_response(services().tasks.restore(current_actor(), task_id))


def as_json(change: TaskChange) -> dict[str, Any]:
    """A change of a task, with the names `from` and `to`, which are Python's own words."""
    fields = [{"field": each.field, "from": each.before, "to": each.after} for each in change.changes]
    return {**asdict(change), "changes": fields}
