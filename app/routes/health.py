"""/healthz, /readyz and /metrics: whether the process lives, whether what it needs is there, and how much it does."""

from http import HTTPStatus
from typing import Any

from flask import Response, current_app

from app.composition.services import services
from app.http.admission import ungated
from app.http.identity.access import public
from app.http.metrics import ensure_may_scrape, metrics_response
from app.http.openapi import Blueprint
from app.http.responses import value_response
from app.schemas.health.checks import Health, ReadinessQuery, ReadinessReport
from app.schemas.health.metrics import families_of

blueprint = Blueprint("health", __name__, description="For operators and load balancers")


@blueprint.get("/healthz")
@public
@ungated
@blueprint.response(200, Health)
def show_health() -> Response:
    """The process answers."""
    return value_response({"status": "ok"})


@blueprint.get("/readyz")
@public
@ungated
@blueprint.arguments(ReadinessQuery, location="query")
@blueprint.response(200, ReadinessReport)
@blueprint.alt_response(503, schema=ReadinessReport)
def show_readiness(query: dict[str, Any]) -> Response:
    """Whether all that the tracker needs is there: 503 with the reasons when something is not.

    Without Redis, broker, worker and beat, with a day that is not logged and with a full disk, the api still answers: a
    load balancer leaves them out with `exclude`. `disk` is looked at where the tracker knows where its database is.
    """
    checks = services().health.check(**query)
    status = "ready" if all(check.ok for check in checks) else "not ready"
    if current_app.extensions["draining"].is_on:
        status = "stopping"
    reasons = {check.name.value: {"ok": check.ok, "reason": check.reason} for check in checks}
    code = HTTPStatus.OK if status == "ready" else HTTPStatus.SERVICE_UNAVAILABLE
    return value_response({"status": status, "checks": reasons}, code)


@blueprint.get("/metrics")
@public
@blueprint.response(200, content_type="text/plain")
def show_metrics() -> Response:
    """What Prometheus reads. Where `METRICS_TOKEN` is set, it is the bearer token of this route."""
    ensure_may_scrape()
    return metrics_response(families_of(services().health.measure()))
