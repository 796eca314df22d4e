"""The shape of the reports and of a task's history."""

from marshmallow import Schema, fields, validate

from app.models.tasks.fields import TaskStatus
from app.schemas.base import Day, StrictSchema, page_schema
from app.schemas.tasks import ProjectKey
from app.services.tasks.history import TaskEvent

_LINK = {"description": "the request that lists these tasks"}


class ReportQuery(StrictSchema):
    project = ProjectKey(load_default=None)


class ReportRangeQuery(ReportQuery):
    since = Day(
        data_key="from", load_default=None, metadata={"description": "the first day; if absent, 30 days up to `to`"}
    )
    until = Day(data_key="to", load_default=None, metadata={"description": "the last day; today if absent"})


class FlowStatus(Schema):
    status = fields.Enum(TaskStatus, by_value=True, required=True)
    task_count = fields.Integer(required=True)
    tasks = fields.String(required=True, metadata=_LINK)


class FlowDay(Schema):
    date = fields.Date(required=True)
    statuses = fields.List(fields.Nested(FlowStatus), required=True)


class Percentiles(Schema):
    p50 = fields.Float(required=True)
    p75 = fields.Float(required=True)
    p85 = fields.Float(required=True)
    p95 = fields.Float(required=True)


class CycleTimeWeek(Schema):
    week = fields.Date(required=True, metadata={"description": "the Monday of the week"})
    task_count = fields.Integer(required=True)
    seconds = fields.Nested(Percentiles, required=True, metadata={"description": "from start to completion"})
    tasks = fields.String(required=True, metadata=_LINK)


class AgeBucket(Schema):
    from_days = fields.Integer(required=True, metadata={"description": "this age and more"})
    to_days = fields.Integer(required=True, allow_none=True, metadata={"description": "less than this age"})
    task_count = fields.Integer(required=True)
    by_status = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    tasks = fields.String(required=True, metadata=_LINK)


class FieldChange(Schema):
    field = fields.String(required=True)
    # As the name says, of whatever type the field is.
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


def _report(item: type[Schema], name: str) -> type[Schema]:
    return Schema.from_dict({"items": fields.List(fields.Nested(item), required=True)}, name=name)


FlowReport = _report(FlowDay, "FlowReport")
CycleTimeReport = _report(CycleTimeWeek, "CycleTimeReport")
AgingReport = _report(AgeBucket, "AgingReport")
TaskVersionPage = page_schema(TaskVersion, "TaskVersionPage")
