"""The shape of what operators and load balancers are told."""

from marshmallow import Schema, fields

from app.schemas.base import StrictSchema
from app.services.health import CheckName


class Health(Schema):
    status = fields.String(required=True)


class ReadinessQuery(StrictSchema):
    without = fields.List(
        fields.Enum(CheckName, by_value=True),
        data_key="exclude",
        load_default=(),
        metadata={"description": "what the caller can do without; may be given more than once"},
    )


class ReadinessCheck(Schema):
    ok = fields.Boolean(required=True)
    reason = fields.String(required=True, allow_none=True, metadata={"description": "what is wrong"})


class ReadinessReport(Schema):
    status = fields.String(required=True, metadata={"enum": ["ready", "not ready", "stopping"]})
    checks = fields.Dict(keys=fields.String(), values=fields.Nested(ReadinessCheck), required=True)
