"""/healthz, /readyz, /version and /metrics, for load balancers, operators and Prometheus."""

from http import HTTPStatus
from typing import Any

from flask import Response, current_app

from app.composition.services import services
from app.http.admission import ungated
from app.http.draining import current_draining
from app.http.identity.access import public
from app.http.metrics import ensure_may_scrape, metrics_response
from app.http.openapi import Blueprint
from app.http.responses import value_response
from app.schemas.health.checks import Health, ReadinessQuery, ReadinessReport, Release
from app.schemas.health.metrics import families_of

blueprint = Blueprint("health", __name__, description="For operators and load balancers")


@blueprint.get("/healthz")
@public
@ungated
@blueprint.response(200, Health)
def show_health() -> Response:
    """Say that the process answers."""
    return value_response({"status": "ok"})


@blueprint.get("/readyz")
@public
@ungated
@blueprint.arguments(ReadinessQuery, location="query")
@blueprint.response(200, ReadinessReport)
@blueprint.alt_response(503, schema=ReadinessReport)
def show_readiness(query: dict[str, Any]) -> Response:
    """Check everything that the tracker needs. If a check fails, the answer is 503 with the reasons.

    A worker and a beat must have been seen in the last two minutes. `daily_log` names days that ended more than an
    hour ago and have not been logged. `disk` exists where the tracker knows the disk of its database. The api answers
    without Redis, broker, worker, beat, a logged day and room on the disk, so a load balancer leaves these six out
    with `exclude`. While the api lets go of its clients, the status is `stopping`. While a tracker on one machine
    starts, `start` is the only check and says what the tracker waits for.
    """
    checks = services().health.check(**query)
    status = "ready" if all(check.ok for check in checks) else "not ready"
    if current_draining().is_on:
        status = "stopping"
    reasons = {check.name.value: {"ok": check.ok, "reason": check.reason} for check in checks}
    code = HTTPStatus.OK if status == "ready" else HTTPStatus.SERVICE_UNAVAILABLE
    return value_response({"status": status, "checks": reasons}, code)


@blueprint.get("/version")
@public
@ungated
@blueprint.response(200, Release)
def show_version() -> Response:
    """Say which release answers.

    `commit` is null where the build of the release did not name it.
    """
    return value_response(current_app.config["RELEASE"])


@blueprint.get("/metrics")
@public
@blueprint.response(200, content_type="text/plain")
def show_metrics() -> Response:
    """Show metrics as text for Prometheus.

    Some describe the api that answers (`http_*`, `cache_*`, `database_connections_*`). All others describe the whole
    tracker and are the same from each api. Where `METRICS_TOKEN` is set, it is the bearer token of this route.
    """
    ensure_may_scrape()
    return metrics_response(families_of(services().health.measure()))
