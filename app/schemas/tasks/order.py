"""The shape of moves on the board."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from app.models.projects.project import in_capitals
from app.models.tasks.fields import REF_PATTERN
from app.queries.pages import MAX_BIGINT
from app.queries.tasks import TaskKey
from app.schemas.base import SomeOf, WholeRegexp
from app.schemas.tasks.inputs import Status

_is_ref = WholeRegexp(REF_PATTERN, error="Not a ref such as OPS-42.")


class TaskKeyField(fields.Field[TaskKey]):
    """A task, by its id as a number or by its ref in any case."""

    def __init__(self, *, description: str, **kwargs: Any) -> None:
        types = ["integer", "string", *(["null"] if kwargs.get("allow_none") else [])]
        super().__init__(metadata={"anyOf": [{"type": each} for each in types], "description": description}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> TaskKey:
        key: object = super()._deserialize(value, attr, data, **kwargs)
        if isinstance(key, str):
            return str(_is_ref(in_capitals(key)))
        if not isinstance(key, int) or isinstance(key, bool) or not 0 < key <= MAX_BIGINT:
            raise ValidationError("Must be an id or a ref such as OPS-42.")
        return key


class TaskMove(SomeOf):
    """Where a task shall stand on the board: its column, its place there, or both."""

    status = Status()
    after = TaskKeyField(
        allow_none=True, description="the task right above, by id or ref; null: the very top of the column"
    )
    before = TaskKeyField(
        allow_none=True, description="the task right below, by id or ref; null: the very bottom of the column"
    )
    expected_status = Status()

    @validates_schema
    def _names_one_neighbour(self, values: dict[str, Any], **_kwargs: Any) -> None:
        if "after" in values and "before" in values:
            raise ValidationError("Name the task above or the task below, not both.", "before")
        if not {"status", "after", "before"} & set(values):
            raise ValidationError("Name the status, or the task above or below.")
