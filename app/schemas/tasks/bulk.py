"""The shape of changing many tasks at once."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validate, validates_schema

from app.models.people.user import MAX_EMAIL_LENGTH
from app.schemas.base import BoundedList, Flag, StrictSchema, Text
from app.schemas.tasks.inputs import Labels, TaskPatch
from app.schemas.tasks.keys import TaskReference
from app.schemas.tasks.order import TaskMove
from app.services.tasks import bulk_items

MAX_ITEMS = 500
MAX_IF_MATCH_LENGTH = 1_000


def _only_true(description: str) -> Flag:
    return Flag(validate=validate.Equal(True), metadata={"enum": [True], "description": description})


class BulkItem(StrictSchema):
    """A task and one of the verbs."""

    task = TaskReference(required=True, description="the task, by id or ref")
    if_match = Text(
        min_length=1,
        max_length=MAX_IF_MATCH_LENGTH,
        metadata={"description": "the `ETag` of the task that you have read"},
    )
    patch = fields.Nested(TaskPatch, metadata={"description": "as `PATCH /api/v1/tasks/{task_id}`"})
    move = fields.Nested(TaskMove, metadata={"description": "as `POST /api/v1/tasks/{task_id}/move`"})
    delete = _only_true("as `DELETE /api/v1/tasks/{task_id}`")
    restore = _only_true("as `POST /api/v1/tasks/{task_id}/restore`")
    add_labels = Labels(min_length=1, metadata={"description": "beside those that the task has"})
    remove_labels = Labels(min_length=1, metadata={"description": "as far as the task has them"})
    assign = Text(
        min_length=1,
        max_length=MAX_EMAIL_LENGTH,
        allow_none=True,
        metadata={"description": "the assignee, by username or email address; null for none"},
    )

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        """Pass over the fields that are absent, here and in the patch: they take most of the time of 500 items."""
        return super()._deserialize(*args, **kwargs | {"partial": True})

    @pre_load
    def _names_a_task(self, values: Any, **_kwargs: Any) -> Any:
        if isinstance(values, Mapping) and "task" not in values:
            raise ValidationError(self.fields["task"].error_messages["required"], "task")
        return values

    @validates_schema
    def _has_one_verb(self, values: dict[str, Any], **_kwargs: Any) -> None:
        verbs = [verb for verb in bulk_items.Verb if verb in values]
        if not verbs:
            raise ValidationError(f"Name one of: {', '.join(bulk_items.Verb)}.")
        if len(verbs) > 1:
            raise ValidationError(f"Only one of {', '.join(verbs)} can be done in an item.")

    @post_load
    def _item(self, values: dict[str, Any], **_kwargs: Any) -> bulk_items.BulkItem:
        verb = next(verb for verb in bulk_items.Verb if verb in values)
        return bulk_items.BulkItem(values["task"], verb, values[verb], values.get("if_match"))


class BulkChange(StrictSchema):
    atomic = Flag(
        load_default=True,
        metadata={"description": "`true`: all items or none; `false`: each item for itself"},
    )
    items = BoundedList(fields.Nested(BulkItem), min_length=1, max_length=MAX_ITEMS, required=True)


class ItemProblem(Schema):
    """Why an item was not done. It has the code and the detail that a request for this task alone would get."""

    code = fields.String(required=True)
    detail = fields.String(required=True)
    errors = fields.List(
        fields.Nested(
            Schema.from_dict({"pointer": fields.String(), "detail": fields.String()}, name="ItemFieldProblem")
        ),
        metadata={"description": "each `pointer` points into the item"},
    )


class BulkOutcome(Schema):
    task = fields.Raw(
        required=True,
        metadata={"anyOf": [{"type": "integer"}, {"type": "string"}], "description": "the task as the item names it"},
    )
    status = fields.Integer(
        required=True, metadata={"description": "200, or the status that a request for this task alone would get"}
    )
    id = fields.Integer()
    ref = fields.String()
    version = fields.Integer()
    etag = fields.String()
    problem = fields.Nested(ItemProblem)


class BulkResult(Schema):
    items = fields.List(
        fields.Nested(BulkOutcome), required=True, metadata={"description": "in the order of the request"}
    )
    changed = fields.Integer(required=True, metadata={"description": "how many tasks have a new version"})
