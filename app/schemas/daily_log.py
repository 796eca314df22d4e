"""The shape of the daily log: its rows, counts by day, runs."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from app.models.daily_log.task_log import LogSource
from app.models.people.user import MAX_EMAIL_LENGTH
from app.models.tasks.fields import LOGGED
from app.queries.daily_log import TaskLogQuery
from app.queries.pages import MAX_BIGINT
from app.schemas.base import Day, Format, FormattedQuery, PageOrFileQuery, StrictSchema, Text, page_schema
from app.schemas.projects import ProjectKey
from app.schemas.tasks.answers import Task as TaskSchema
from app.schemas.tasks.inputs import Status


class TaskLogListQuery(PageOrFileQuery):
    date = Day(metadata={"description": "one day"})
    since = Day(data_key="from", metadata={"description": "this day and later"})
    until = Day(data_key="to", metadata={"description": "this day and earlier"})
    task = fields.Integer(validate=validate.Range(1, MAX_BIGINT), metadata={"description": "the id of a task"})
    status = Status()
    project = ProjectKey()
    assignee = Text(max_length=MAX_EMAIL_LENGTH, metadata={"description": "a username, an email address, or `none`"})
    include_total = fields.Boolean(load_default=False)
    format = Format(
        "csv", "xlsx", description="a file with all rows, without pages. `xlsx` needs `date`, and holds that day"
    )

    @validates_schema
    def _ensure_workbook_of_a_day(self, values: dict[str, Any], **_kwargs: Any) -> None:
        if values["format"] == "xlsx" and "date" not in values:
            raise ValidationError({"date": ["Say which day: an XLSX file holds one day."]})

    @post_load
    def _selection(self, values: dict[str, Any], **_kwargs: Any) -> FormattedQuery[TaskLogQuery]:
        file_format = values.pop("format")
        query = TaskLogQuery(on=values.pop("date", None), task_id=values.pop("task", None), **values)
        return FormattedQuery(query, file_format)


class DayQuery(PageOrFileQuery):
    since = Day(data_key="from", metadata={"description": "this day and later"})
    until = Day(data_key="to", metadata={"description": "this day and earlier"})
    project = ProjectKey()

    @post_load
    def _selection(self, values: dict[str, Any], **_kwargs: Any) -> FormattedQuery[TaskLogQuery]:
        file_format = values.pop("format")
        return FormattedQuery(TaskLogQuery(**values), file_format)


class LogRequest(StrictSchema):
    date = Day(load_default=None, allow_none=True, metadata={"description": "today if absent"})


class LogRequested(Schema):
    log_date = fields.Date(required=True)
    message = fields.String(required=True, metadata={"description": "what will happen"})


_LOGGED_FIELDS: Any = Schema.from_dict({field.name: TaskSchema().fields[field.name] for field in LOGGED})


class LoggedState(_LOGGED_FIELDS):  # type: ignore[misc]
    """The fields of a task that the log of a day keeps."""

    ref = fields.String(required=True, allow_none=True, metadata={"description": "as it was on that day"})
    project = fields.String(required=True, allow_none=True)


class TaskLog(LoggedState):
    id = fields.Integer(required=True)
    log_date = fields.Date(required=True)
    task_id = fields.Integer(required=True)


class LogDay(Schema):
    log_date = fields.Date(required=True)
    task_count = fields.Integer(required=True)
    by_status = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    by_project = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    by_assignee = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "`none` counts tasks without an assignee"},
    )
    tasks = fields.String(
        required=True,
        metadata={
            "description": "the request that lists the rows; add `status=`, `project=` or `assignee=` for one number"
        },
    )


class DiffQuery(PageOrFileQuery):
    since = Day(data_key="from", required=True, metadata={"description": "the earlier day"})
    until = Day(data_key="to", required=True, metadata={"description": "the later day"})
    project = ProjectKey(load_default=None)


class LogDifference(Schema):
    task_id = fields.Integer(required=True)
    change = fields.String(required=True, validate=validate.OneOf(["entered", "left", "changed"]))
    before = fields.Nested(LoggedState, required=True, allow_none=True)
    after = fields.Nested(LoggedState, required=True, allow_none=True)


class LogRun(Schema):
    log_date = fields.Date(required=True)
    time_zone = fields.String(required=True, metadata={"description": "the workspace's when the day was logged"})
    started_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True)
    task_count = fields.Integer(required=True, metadata={"description": "in all projects"})
    source = fields.Enum(
        LogSource,
        by_value=True,
        required=True,
        metadata={"description": "on schedule, on request, or to fill in a day before yesterday"},
    )
    is_final = fields.Boolean(required=True, metadata={"description": "false until the day is over"})


TaskLogPage = page_schema(TaskLog, "TaskLogPage")


class LogDifferencePage(page_schema(LogDifference, "LogDifferences")):  # type: ignore[misc]
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "how many entered, left and changed on all pages; only on the first page"},
    )


LogDayPage = page_schema(LogDay, "LogDayPage")
LogRunPage = page_schema(LogRun, "LogRunPage")
