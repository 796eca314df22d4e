"""The shape of the answers to operators and load balancers."""

from marshmallow import Schema, fields

from app.schemas.base import BoundedList, StrictSchema
from app.services.health.checks import CheckName

# More than there are checks: naming one twice is no mistake.
MAX_EXCLUSIONS = 20


class Health(Schema):
    status = fields.String(required=True)


class Release(Schema):
    version = fields.String(required=True)
    commit = fields.String(required=True, allow_none=True, metadata={"description": "the id of the commit in git"})
    estimate_unit = fields.String(required=True, metadata={"description": "what the estimates of tasks are counted in"})


class ReadinessQuery(StrictSchema):
    without = BoundedList(
        fields.Enum(CheckName, by_value=True),
        max_length=MAX_EXCLUSIONS,
        data_key="exclude",
        load_default=(),
        metadata={"description": "leaves this check out; can appear more than once"},
    )


class ReadinessCheck(Schema):
    ok = fields.Boolean(required=True)
    reason = fields.String(required=True, allow_none=True, metadata={"description": "what is wrong"})


class ReadinessReport(Schema):
    status = fields.String(required=True, metadata={"enum": ["ready", "not ready", "stopping"]})
    checks = fields.Dict(keys=fields.String(), values=fields.Nested(ReadinessCheck), required=True)
