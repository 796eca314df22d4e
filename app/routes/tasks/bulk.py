"""/api/v1/tasks/bulk: changing many tasks at once."""

from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import BulkRefusedError
from app.http.error_handlers import refused_item
from app.http.identity.access import current_actor, requires
from app.http.openapi import Blueprint, raises
from app.http.responses import etag_of, precondition_of, value_response
from app.schemas.tasks.bulk import BulkChange, BulkResult
from app.services.tasks.bulk_items import BulkItem, Outcome

blueprint = Blueprint("bulk", __name__, url_prefix="/api/v1/tasks/bulk", description="Changing many tasks at once")


@blueprint.post("")
@requires(Permission.TASK_UPDATE)
@blueprint.arguments(BulkChange)
@blueprint.response(200, BulkResult)
@raises(BulkRefusedError)
def change_tasks(change: dict[str, Any]) -> Response:
    """Change up to 500 tasks at once. All of them change or none does, or with `atomic: false` each for itself.

    Each item names a task and one verb, which does what the request of the same name does to a single task, with the
    same permissions: only managers and admins delete and restore. A request names each task once. Moves are made in the
    order of the items, so a task can be put after one that was moved before it. All changes happen at the same instant.

    If an item cannot be done, the answer is 409 `bulk_refused`, and nothing is changed. Its `items` say what is wrong
    with which; the others have the status 424. With `atomic: false`, the answer is 200, and such an item has the status
    and the `problem` that a request for its task alone would have got.
    """
    items: list[BulkItem] = change["items"]
    outcomes = services().task_bulk.change_all(
        current_actor(), items, precondition_of=precondition_of, is_atomic=change["atomic"]
    )
    changed = sum(outcome.is_changed for outcome in outcomes)
    return value_response({"items": [_as_json(outcome) for outcome in outcomes], "changed": changed})


def _as_json(outcome: Outcome) -> dict[str, Any]:
    named = {"task": outcome.item.key}
    if outcome.task is None or outcome.error is not None:
        return refused_item(named, outcome.error)
    row = outcome.task
    tag = etag_of(row.id, outcome.version)
    return {**named, "status": 200, "id": row.id, "ref": outcome.ref, "version": outcome.version, "etag": tag}
