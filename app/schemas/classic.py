"""The shapes of the TaskTrackerPro table, kept to the letter for the clients that were written against it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from app.csv_files.moments import parse_moment
from app.models.people.user import MAX_USERNAME_LENGTH
from app.models.tasks.task import MAX_DESCRIPTION_LENGTH, MAX_TITLE_LENGTH, TaskPriority, status_from
from app.repositories.pages import MAX_PAGE_SIZE
from app.schemas.base import StrictSchema, Text
from app.schemas.tasks import Priority

DEFAULT_PER_PAGE = 10
MAX_PAGE_NUMBER = 1_000_000


class Activity(fields.Boolean):
    """A status as the table has it: whether the task is active. A status word says it too."""

    default_error_messages = {"invalid": "Must be true, false or a status word."}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, str) and value.strip().lower() not in {"true", "false"}:
            status = status_from(value)
            if status is not None and not value.strip().isdigit():
                return status
        return super()._deserialize(value, attr, data, **kwargs)


class TableMoment(fields.String):
    """M/D/YYYY or ISO 8601; in the workspace's time zone where no offset is named."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:  # type: ignore[override]
        moment = parse_moment(str(super()._deserialize(value, attr, data, **kwargs)))
        if moment is None:
            raise ValidationError("Not a date; write YYYY-MM-DD or M/D/YYYY.")
        return moment


class TableTaskPatch(StrictSchema):
    task_name = Text(min_length=1, max_length=MAX_TITLE_LENGTH)
    description = Text(max_length=MAX_DESCRIPTION_LENGTH, allow_none=True)
    status = Activity(metadata={"description": "true while active"})
    priority = Priority()
    created_at = TableMoment()
    assigned_user = Text(
        min_length=1, max_length=MAX_USERNAME_LENGTH, allow_none=True, metadata={"description": "a username"}
    )

    @post_load
    def _changes(self, values: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        names = {"task_name": "title", "assigned_user": "assignee"}
        changes = {names.get(name, name): value for name, value in values.items()}
        if isinstance(changes.get("status"), bool):
            changes["is_active"] = changes.pop("status")
        if "description" in changes and changes["description"] is None:
            changes["description"] = ""
        return changes


class TableTaskInput(TableTaskPatch):
    task_name = Text(min_length=1, max_length=MAX_TITLE_LENGTH, required=True)


class TableTaskCreated(Schema):
    id = fields.Integer(required=True)
    task_name = fields.String(required=True)


class TableTaskDeleted(Schema):
    message = fields.String(required=True)
    task_id = fields.Integer(required=True)
    status = fields.Boolean(required=True)


class TableLogQuery(StrictSchema):
    date = fields.Date(load_default=None)
    page = fields.Integer(load_default=1, validate=validate.Range(1, MAX_PAGE_NUMBER))
    per_page = fields.Integer(load_default=DEFAULT_PER_PAGE, validate=validate.Range(1, MAX_PAGE_SIZE))


class TableLogTask(Schema):
    task_name = fields.String(required=True)
    description = fields.String(required=True)


class TableLog(Schema):
    id = fields.Integer(required=True)
    task_id = fields.Integer(required=True)
    date_logged = fields.Date(required=True)
    status = fields.Boolean(required=True)
    task = fields.Nested(TableLogTask, required=True)


class TableLogPage(Schema):
    tasks = fields.List(fields.Nested(TableLog), required=True)
    total = fields.Integer(required=True)
    pages = fields.Integer(required=True)
    page = fields.Integer(required=True)
    current_page = fields.Integer(required=True)


class TableLoggedTask(Schema):
    id = fields.Integer(required=True)
    task_name = fields.String(required=True)
    description = fields.String(required=True)
    priority = fields.Enum(TaskPriority, by_value=True, required=True)
    created_at = fields.AwareDateTime(required=True, allow_none=True)
    assigned_user = fields.String(required=True, allow_none=True)


class TableLogDetail(Schema):
    log_id = fields.Integer(required=True)
    date_logged = fields.Date(required=True)
    status = fields.Boolean(required=True)
    task = fields.Nested(TableLoggedTask, required=True)
