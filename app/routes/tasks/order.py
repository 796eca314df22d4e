"""/api/v1/tasks/…/move: where tasks stand on the board."""

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import OpenSubtasksError, ProjectArchivedError, StatusChangedError
from app.http.identity.access import current_actor, requires
from app.http.openapi import Blueprint, conditional, raises, versioned
from app.http.responses import precondition, versioned_response
from app.queries.tasks import TaskKey
from app.schemas.tasks.answers import Task
from app.schemas.tasks.inputs import Cascade
from app.schemas.tasks.order import TaskMove
from app.services.tasks import order

blueprint = Blueprint("order", __name__, url_prefix="/api/v1/tasks", description="Moving tasks on the board")


@blueprint.post("/<task:task_id>/move")
@requires(Permission.TASK_UPDATE)
@blueprint.arguments(TaskMove)
@blueprint.arguments(Cascade, location="query")
@blueprint.response(200, Task)
@conditional
@versioned
@raises(OpenSubtasksError, ProjectArchivedError, StatusChangedError)
def move_task(move: order.TaskMove, query: dict[str, bool], task_id: TaskKey) -> Response:
    """Move a task on the board: to another status, to another place in its column, or both.

    A column is the tasks of a project that have one status. `after` names the task right above, `before` the one right
    below; the task must be in the project and have the status that the moved task ends up with. `after: null` is the
    very top of the column, and `before: null` the very bottom. Without either, a task with a new status goes to the
    top. `expected_status` is the status that you saw: if the task has another one by now, the answer is 409
    `status_changed`, and nothing is moved. A task that stands in its place already stays as it is.
    """
    may_overwrite = precondition(may_be_required=False)
    return versioned_response(
        services().task_order.move(current_actor(), task_id, move, may_overwrite=may_overwrite, **query)
    )
