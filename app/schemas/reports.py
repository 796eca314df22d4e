"""The shape of the reports and of a task's history."""

from marshmallow import Schema, fields

from app.models.tasks.fields import TaskStatus
from app.schemas.base import Day, Format, StrictSchema
from app.schemas.projects import ProjectKey

_LINK = {"description": "the request that lists these tasks"}


class ReportQuery(StrictSchema):
    project = ProjectKey(load_default=None)
    format = Format("csv", description="`csv`: the same numbers as a file, without links")


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


def _report(item: type[Schema], name: str) -> type[Schema]:
    return Schema.from_dict({"items": fields.List(fields.Nested(item), required=True)}, name=name)


FlowReport = _report(FlowDay, "FlowReport")
CycleTimeReport = _report(CycleTimeWeek, "CycleTimeReport")
AgingReport = _report(AgeBucket, "AgingReport")
