"""The classic API, at the root. It never changes for its clients, and it uses the same services."""

from typing import Any

import orjson
from flask import Response, current_app

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import (
    ConflictError,
    EmailTakenError,
    InvalidError,
    ProjectArchivedError,
    UsernameTakenError,
    WrongCredentialsError,
)
from app.http.admission import ungated
from app.http.bodies import takes_file
from app.http.client_address import client_address
from app.http.downloads import json_array_response
from app.http.identity.access import current_actor, public, requires
from app.http.identity.bearer import bearer_tokens
from app.http.openapi import LOCATION, X_CACHE, Blueprint, raises
from app.http.rate_limits import LimitName, limited
from app.http.responses import cache_status, json_response, row_response, value_response
from app.http.uploads import Upload
from app.models.imports.task_import import DuplicatePolicy
from app.queries.daily_log import NumberedLogQuery
from app.schemas.classic import (
    ACTIVE_TASK,
    LOGGED_TASK,
    LOGGED_TASK_DETAIL,
    ClassicLogDetail,
    ClassicLogPage,
    ClassicLogQuery,
    ClassicMessage,
    ClassicTaskCreated,
    ClassicTaskDeleted,
    ClassicTaskInput,
    ClassicTaskPatch,
    ClassicToken,
    ClassicUploaded,
    ClassicUser,
    ClassicUserInput,
)
from app.schemas.imports.imports import CsvUpload
from app.schemas.login import Login
from app.services.daily_log.read import NumberedPage
from app.services.imports.imports import ImportOptions
from app.services.tasks.write import TaskChanges

# How long the request of an upload waits for the end of the import.
UPLOAD_WAIT_SECONDS = 10

blueprint = Blueprint("classic", __name__, description='The classic API; errors are `{"error": …}`')


@blueprint.get("/")
@ungated
@public
@blueprint.response(200, ClassicMessage)
def welcome() -> Response:
    """Say which service this is."""
    return value_response({"message": "Welcome to TaskTrackerPro!"})


@blueprint.get("/ping")
@ungated
@public
@blueprint.response(200, ClassicMessage)
def ping() -> Response:
    """Answer at once."""
    return value_response({"message": "pong!"})


@blueprint.post("/login")
@public
@blueprint.arguments(Login)
@blueprint.response(200, ClassicToken)
@raises(WrongCredentialsError)
def log_in(values: dict[str, Any]) -> Response:
    """Exchange a username and a password for a token that is valid for an hour. Five log-ins a minute are allowed."""
    grant = services().login.log_in(
        login=values["username"], password=values["password"], address=client_address(), is_limit_fixed=True
    )
    return value_response(
        {"token": bearer_tokens().access_token(grant, minutes=current_app.config["CLASSIC_TOKEN_MINUTES"])}
    )


@blueprint.post("/user")
@requires(Permission.USER_MANAGE)
@blueprint.arguments(ClassicUserInput)
@blueprint.response(201, ClassicUser)
@raises(UsernameTakenError, EmailTakenError)
def create_user(values: dict[str, Any]) -> Response:
    """Create a user with a role. Admins only."""
    user = services().people.create(current_actor(), **values).values
    return value_response({"id": user["id"], "username": user["username"]}, 201)


@blueprint.post("/task")
@requires(Permission.TASK_CREATE)
@blueprint.arguments(ClassicTaskInput)
@blueprint.response(201, ClassicTaskCreated)
def create_task(values: TaskChanges) -> Response:
    """Create a task in the project `GEN`."""
    task = services().tasks.create(current_actor(), values)
    return value_response({"id": task.id, "task_name": task.title}, 201)


@blueprint.put("/task/<id:task_id>")
@requires(Permission.TASK_MANAGE)
@blueprint.arguments(ClassicTaskPatch)
@blueprint.response(200, ClassicMessage)
@raises(ProjectArchivedError)
def change_task(values: TaskChanges, task_id: int) -> Response:
    """Change any fields of a task. Managers and admins only.

    A field that is absent stays as it is. Null removes the assigned user or the description. `"status": false` makes
    an active task `done`, and `"status": true` makes an ended task `todo` again. Otherwise the status stays.
    """
    services().tasks.change(current_actor(), task_id, values)
    return value_response({"message": "Task updated"})


@blueprint.delete("/task/<id:task_id>")
@requires(Permission.TASK_DELETE)
@blueprint.response(200, ClassicTaskDeleted)
@raises(ProjectArchivedError)
def delete_task(task_id: int) -> Response:
    """Delete a task so that it can be restored. Managers and admins only.

    They restore it with `POST /api/v1/tasks/…/restore`.
    """
    services().tasks.delete(current_actor(), task_id)
    return value_response({"message": "Task soft-deleted successfully", "task_id": task_id, "status": False})


@blueprint.get("/task/<id:logger_id>")
@requires(Permission.TASK_LOG_READ)
@blueprint.response(200, ClassicLogDetail)
def show_task_logger(logger_id: int) -> Response:
    """Show a log row with its task. The number is the id of the row, not of the task."""
    return row_response(services().task_logs.get_with_task(current_actor(), logger_id, LOGGED_TASK_DETAIL))


@blueprint.get("/tasklogger/<id:log_id>")
@requires(Permission.TASK_LOG_READ)
@blueprint.response(200, ClassicLogDetail)
def show_task_log(log_id: int) -> Response:
    """Show a log row with its task.

    `task_name` and `priority` are those of the logged day, and `description` is today's. If you may no longer see the
    task, because it moved to another project or, for users and viewers, because it was deleted, `description` is
    empty and `created_at` is null.
    """
    return row_response(services().task_logs.get_with_task(current_actor(), log_id, LOGGED_TASK_DETAIL))


@blueprint.get("/tasks")
@limited(LimitName.TASKS)
@requires(Permission.TASK_LOG_READ)
@blueprint.arguments(ClassicLogQuery, location="query")
@blueprint.response(200, ClassicLogPage, headers=X_CACHE)
def list_logged_tasks(query: NumberedLogQuery) -> Response:
    """List log rows in numbered pages, newest day first. 60 requests a minute are allowed.

    `X-Cache` says whether the page came from the cache. A page after the last one is empty.
    """
    page, was_cached = services().task_logs.list_numbered(current_actor(), query, LOGGED_TASK)
    return json_response(envelope_of(page), headers={"X-Cache": cache_status(was_cached)})


@blueprint.get("/activetasks")
@requires(Permission.TASK_READ)
@blueprint.response(200, ClassicTaskCreated(many=True))
def list_active_tasks() -> Response:
    """List every active task that you can see, in one answer."""
    return json_array_response(services().task_views.list_active(current_actor(), ACTIVE_TASK))


@blueprint.post("/upload-csv")
@limited(LimitName.UPLOAD)
@takes_file
@requires(Permission.IMPORT_CREATE)
@blueprint.arguments(CsvUpload, location="files")
@blueprint.response(200, ClassicUploaded, headers=LOCATION)
@blueprint.alt_response(202, ClassicUploaded, headers=LOCATION)
@raises(ConflictError, InvalidError)
def upload_csv(files: dict[str, Any]) -> Response:
    """Import a CSV file into the project `GEN`. Managers and admins only; ten an hour.

    The options are the defaults of `POST /api/v1/imports`, except for `on_duplicate=skip`: a row whose task exists
    creates no second one, even if it appears twice in the file. A deleted task counts as missing. The maps that the
    project has kept are not used. `Location` is the path of the import, whose errors name the bad rows. If a file takes
    longer than ten seconds, the answer is 202 without `skipped`, and the import goes on.
    """
    upload: Upload = files["file"]
    outcome = services().imports.import_csv(
        current_actor(),
        upload,
        filename=upload.filename,
        options=ImportOptions(
            on_duplicate=DuplicatePolicy.SKIP, column_map={}, status_map={}, priority_map={}, people_map={}
        ),
        wait_seconds=UPLOAD_WAIT_SECONDS,
    )
    location = f"/api/v1/imports/{outcome.import_id}"
    headers = {"Location": location}
    if not outcome.is_finished:
        message = f"The tasks are being uploaded; GET {location} tells how far it is"
        return value_response({"message": message}, 202, headers)
    message = f"{outcome.created_count} tasks uploaded successfully"
    return value_response({"message": message, "skipped": outcome.refused_count + outcome.skipped_count}, 200, headers)


@blueprint.post("/log-tasks")
@requires(Permission.TASK_LOG_RUN)
@blueprint.response(202, ClassicMessage)
def log_tasks() -> Response:
    """Request a log run for today. Managers and admins only.

    A worker logs every active task, usually within a second.
    """
    services().daily_log.request_day(current_actor(), None)
    return value_response({"message": "Logging of active tasks has been triggered."}, 202)


def envelope_of(page: NumberedPage) -> bytes:
    """A page as it goes to the client."""
    numbers = {"total": page.total, "pages": page.page_count, "page": page.page, "current_page": page.page}
    return b'{"tasks":[' + page.rows + b"]," + orjson.dumps(numbers)[1:]
