"""The shape of moves on the board."""

from typing import Any

from marshmallow import ValidationError, validates_schema

from app.schemas.base import SomeOf
from app.schemas.tasks.inputs import Status
from app.schemas.tasks.keys import TaskReference


class TaskMove(SomeOf):
    """Where a task shall stand on the board: its column, its place there, or both."""

    status = Status()
    after = TaskReference(
        allow_none=True, description="the task right above, by id or ref; null: the very top of the column"
    )
    before = TaskReference(
        allow_none=True, description="the task right below, by id or ref; null: the very bottom of the column"
    )
    expected_status = Status()

    @validates_schema
    def _names_one_neighbour(self, values: dict[str, Any], **_kwargs: Any) -> None:
        if "after" in values and "before" in values:
            raise ValidationError("Name the task above or the task below, not both.", "before")
        if not {"status", "after", "before"} & set(values):
            raise ValidationError("Name the status, or the task above or below.")
