"""The shape of tasks and of their history as they go out."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, validate

from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.follower import FollowReason
from app.queries.pages import MAX_TOTAL
from app.schemas.base import page_schema
from app.services.tasks.history import TaskEvent

# The first two follow by their role, without a choice of theirs.
FOLLOW_REASONS = ("created", "assigned", *FollowReason)


class Task(Schema):
    id = fields.Integer(required=True)
    ref = fields.String(
        required=True,
        metadata={
            "example": "OPS-42",
            "description": "the key and the number in the project; changes with the project",
        },
    )
    project = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    status = fields.Enum(TaskStatus, by_value=True, required=True)
    priority = fields.Enum(TaskPriority, by_value=True, required=True)
    labels = fields.List(fields.String(), required=True)
    creator = fields.String(required=True, metadata={"description": "a username"})
    assignee = fields.String(required=True, allow_none=True)
    start_on = fields.Date(required=True, allow_none=True)
    due_at = fields.AwareDateTime(required=True, allow_none=True)
    estimate = fields.Float(
        required=True, allow_none=True, metadata={"description": "in the unit that `GET /version` names"}
    )
    recurrence = fields.String(
        required=True, allow_none=True, metadata={"example": "FREQ=WEEKLY;BYDAY=MO", "description": "RFC 5545, RRULE"}
    )
    parent = fields.String(
        required=True, allow_none=True, metadata={"example": "OPS-41", "description": "the ref of the task above it"}
    )
    subtask_count = fields.Integer(required=True, metadata={"description": "without cancelled and deleted ones"})
    subtasks_done = fields.Integer(required=True)
    progress = fields.Integer(
        required=True, allow_none=True, metadata={"description": "percent of subtasks that are done; null without any"}
    )
    external_ref = fields.String(required=True, allow_none=True)
    position = fields.Float(required=True)
    comment_count = fields.Integer(
        required=True, metadata={"description": "comments that are not deleted; a new one raises no `version`"}
    )
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "when it was first `in_progress`"}
    )
    completed_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "when it became `done` or `cancelled`"}
    )
    deleted_at = fields.AwareDateTime(required=True, allow_none=True)
    version = fields.Integer(
        required=True, metadata={"description": "rises with each change; the `ETag` stands for it"}
    )


def _name_or_object(description: str, properties: Mapping[str, Any], *, is_nullable: bool = False) -> fields.Raw:
    """A field that holds a name, or an object if the query expands it."""
    described = {"type": "object", "properties": properties, "required": list(properties)}
    alternatives = [{"type": "string"}, described, *([{"type": "null"}] if is_nullable else [])]
    return fields.Raw(allow_none=is_nullable, metadata={"anyOf": alternatives, "description": description})


_PERSON = {"id": {"type": "integer"}, "username": {"type": "string"}}
_PROJECT = {"key": {"type": "string"}, "name": {"type": "string"}}


def _shown_fields() -> dict[str, fields.Field[Any]]:
    """Every field that a query may select. None is required."""
    shown = Task().fields | {
        "project": _name_or_object("a key", _PROJECT),
        "creator": _name_or_object("a username", _PERSON),
        "assignee": _name_or_object("a username", _PERSON, is_nullable=True),
    }
    for field in shown.values():
        field.required = False
    return shown


ShownTask = Schema.from_dict(_shown_fields(), name="ShownTask")
TaskPage = page_schema(ShownTask, "TaskPage")


class BoardColumn(Schema):
    status = fields.Enum(TaskStatus, by_value=True, required=True)
    count = fields.Integer(required=True, metadata={"description": f"the tasks of the column; {MAX_TOTAL} if more"})
    count_is_capped = fields.Boolean(required=True, metadata={"description": "true if there are more than `count`"})
    items = fields.List(fields.Nested(ShownTask), required=True, metadata={"description": "the first tasks"})
    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "the next tasks: `GET /api/v1/tasks?status=…&sort=position&cursor=…`, same filters"},
    )


class Board(Schema):
    columns = fields.List(fields.Nested(BoardColumn), required=True)


class FieldChange(Schema):
    field = fields.String(required=True)
    # A value has the type of the field.
    before = fields.Raw(data_key="from", required=True, allow_none=True)
    after = fields.Raw(data_key="to", required=True, allow_none=True)


class TaskVersion(Schema):
    revision = fields.Integer(required=True, metadata={"description": "counts from 1"})
    at = fields.AwareDateTime(required=True)
    until = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "null for the state that the task has now"}
    )
    event = fields.String(required=True, validate=validate.OneOf(list(TaskEvent)))
    actor = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "who made the change; for a row of a CSV file, who uploaded it; null if it bypassed the API"
        },
    )
    request_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "the `X-Request-ID` of the request that made the change"},
    )
    changes = fields.List(fields.Nested(FieldChange), required=True)


TaskVersionPage = page_schema(TaskVersion, "TaskVersionPage")


class Follower(Schema):
    id = fields.Integer(required=True)
    username = fields.String(required=True)
    since = fields.AwareDateTime(required=True)
    reason = fields.String(required=True, validate=validate.OneOf(FOLLOW_REASONS))


FollowerPage = page_schema(Follower, "FollowerPage")
