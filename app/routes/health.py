"""/healthz and /readyz: whether the process lives, and whether what it needs answers."""

from dataclasses import asdict
from typing import Any

from flask import current_app
from marshmallow import Schema, fields

from app.composition import Parts
from app.http.authentication import public
from app.http.openapi import Blueprint

blueprint = Blueprint("health", __name__, description="For operators and load balancers")


class Health(Schema):
    status = fields.String(required=True)


class ReadinessReport(Schema):
    status = fields.String(required=True)
    checks = fields.Dict(keys=fields.String(), values=fields.Boolean(), required=True)


@blueprint.get("/healthz")
@public
@blueprint.response(200, Health)
def show_health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@blueprint.get("/readyz")
@public
@blueprint.response(200, ReadinessReport)
@blueprint.alt_response(503, schema=ReadinessReport)
def show_readiness() -> tuple[dict[str, Any], int]:
    """What the process needs answers: 503 while PostgreSQL is away or the schema is not this release's."""
    parts: Parts = current_app.extensions["parts"]
    readiness = parts.readiness()
    status = "ready" if readiness.is_ready else "not ready"
    return {"status": status, "checks": asdict(readiness)}, 200 if readiness.is_ready else 503
