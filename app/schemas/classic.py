"""The shapes of the classic API, which never change for the clients that were written for it.

The classic API has its own names for fields, and a status that says only whether a task is active. Here they are
translated both ways: what comes in becomes our fields, and a `Shape` says how our rows go out.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from app.csv_files.moments import moment_of, parse_date
from app.csv_files.words import status_from
from app.models.people.user import MAX_EMAIL_LENGTH, Role
from app.models.tasks.fields import ACTIVE_STATUSES, MAX_DESCRIPTION_LENGTH, MAX_TITLE_LENGTH, TaskPriority, TaskStatus
from app.queries.daily_log import NumberedLogQuery
from app.queries.pages import MAX_PAGE_SIZE, Shape
from app.schemas.base import StrictSchema, Text
from app.schemas.people import email_field, new_password_field, username_field
from app.schemas.tasks.inputs import Priority

DEFAULT_PER_PAGE = 10
MAX_PAGE_NUMBER = 1_000_000

# Our name for each field that has another name in the classic API.
FIELD_NAMES = {"task_name": "title", "assigned_user": "assignee"}
CLASSIC_NAMES = {ours: theirs for theirs, ours in FIELD_NAMES.items()}
# A logged task was active, so its status is always true.
ACTIVE_TASK = Shape.of(id="id", task_name="title")
LOGGED_TASK = Shape.of(
    id="id",
    task_id="task_id",
    date_logged="log_date",
    status=True,
    task=Shape.of(task_name="title", description="description"),
)
LOGGED_TASK_DETAIL = Shape.of(
    log_id="id",
    date_logged="log_date",
    status=True,
    task=Shape.of(
        id="task_id",
        task_name="title",
        description="description",
        priority="priority",
        created_at="created_at",
        assigned_user="assignee",
    ),
)


class Activity(fields.Boolean):
    """A status: true while the task is active, false when it has ended. A status word is accepted, too."""

    default_error_messages = {"invalid": "Must be true, false or a status word."}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, str) and value.strip().lower() not in {"true", "false"}:
            status = status_from(value)
            if status is not None and not value.strip().isdigit():
                return status
        return super()._deserialize(value, attr, data, **kwargs)


class ClassicMoment(fields.String):
    """A time as M/D/YYYY or ISO 8601. Without an offset, it is in the workspace's time zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:  # type: ignore[override]
        parsed = parse_date(str(super()._deserialize(value, attr, data, **kwargs)))
        if parsed is None:
            raise ValidationError("Not a date; write YYYY-MM-DD or M/D/YYYY.")
        return moment_of(parsed)


class ClassicMessage(Schema):
    message = fields.String(required=True)


class ClassicToken(Schema):
    token = fields.String(required=True)


class ClassicUserInput(StrictSchema):
    username = username_field(required=True)
    email = email_field(required=True)
    password = new_password_field(required=True)
    role = fields.Enum(Role, by_value=True, load_default=Role.USER)


class ClassicUser(Schema):
    id = fields.Integer(required=True)
    username = fields.String(required=True)


class ClassicUploaded(Schema):
    message = fields.String(required=True)
    skipped = fields.Integer(
        metadata={"description": "rows that are bad or whose task exists; absent while the import goes on"}
    )


class ClassicTaskPatch(StrictSchema):
    task_name = Text(min_length=1, max_length=MAX_TITLE_LENGTH)
    description = Text(max_length=MAX_DESCRIPTION_LENGTH, allow_none=True)
    status = Activity(metadata={"description": "true while the task is active; a status word is possible, too"})
    priority = Priority()
    created_at = ClassicMoment(metadata={"description": "`YYYY-MM-DD`, ISO 8601 or `M/D/YYYY`"})
    assigned_user = Text(
        min_length=1,
        max_length=MAX_EMAIL_LENGTH,
        allow_none=True,
        metadata={"description": "the username or email address of an active user"},
    )

    @post_load
    def _changes(self, values: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        changes = {FIELD_NAMES.get(name, name): value for name, value in values.items()}
        if isinstance(changes.get("status"), bool):
            changes["status"] = _while_active if changes["status"] else _when_ended
        if "description" in changes and changes["description"] is None:
            changes["description"] = ""
        return changes


def _while_active(status: TaskStatus) -> TaskStatus:
    """An active task keeps its status; an ended one is open again."""
    return status if status in ACTIVE_STATUSES else TaskStatus.TODO


def _when_ended(status: TaskStatus) -> TaskStatus:
    """An ended task keeps its status; an active one is done."""
    return TaskStatus.DONE if status in ACTIVE_STATUSES else status


class ClassicTaskInput(ClassicTaskPatch):
    task_name = Text(min_length=1, max_length=MAX_TITLE_LENGTH, required=True)


class ClassicTaskCreated(Schema):
    id = fields.Integer(required=True)
    task_name = fields.String(required=True)


class ClassicTaskDeleted(Schema):
    message = fields.String(required=True)
    task_id = fields.Integer(required=True)
    status = fields.Boolean(required=True)


class ClassicLogQuery(StrictSchema):
    date = fields.Date(load_default=None, metadata={"description": "only this day"})
    page = fields.Integer(load_default=1, validate=validate.Range(1, MAX_PAGE_NUMBER))
    per_page = fields.Integer(load_default=DEFAULT_PER_PAGE, validate=validate.Range(1, MAX_PAGE_SIZE))

    @post_load
    def _query(self, values: dict[str, Any], **_kwargs: Any) -> NumberedLogQuery:
        return NumberedLogQuery(on=values.pop("date"), **values)


class ClassicLogTask(Schema):
    task_name = fields.String(required=True)
    description = fields.String(required=True)


class ClassicLog(Schema):
    id = fields.Integer(required=True)
    task_id = fields.Integer(required=True)
    date_logged = fields.Date(required=True)
    status = fields.Boolean(required=True)
    task = fields.Nested(ClassicLogTask, required=True)


class ClassicLogPage(Schema):
    tasks = fields.List(fields.Nested(ClassicLog), required=True)
    total = fields.Integer(required=True)
    pages = fields.Integer(required=True)
    page = fields.Integer(required=True)
    current_page = fields.Integer(required=True)


class ClassicLoggedTask(Schema):
    id = fields.Integer(required=True)
    task_name = fields.String(required=True)
    description = fields.String(required=True)
    priority = fields.Enum(TaskPriority, by_value=True, required=True)
    created_at = fields.AwareDateTime(required=True, allow_none=True)
    assigned_user = fields.String(required=True, allow_none=True)


class ClassicLogDetail(Schema):
    log_id = fields.Integer(required=True)
    date_logged = fields.Date(required=True)
    status = fields.Boolean(required=True)
    task = fields.Nested(ClassicLoggedTask, required=True)
