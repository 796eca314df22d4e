"""/api/v1/reports: how the work goes, each number with the request that lists its tasks."""

from typing import Any

from app.auth.permissions import Permission
from app.composition.services import services
from app.http.authentication import current_actor, requires
from app.http.openapi import Blueprint
from app.schemas.reports import AgingReport, CycleTimeReport, FlowReport, ReportQuery, ReportRangeQuery

blueprint = Blueprint("reports", __name__, url_prefix="/api/v1/reports", description="Reports")


@blueprint.get("/flow")
@requires(Permission.TASK_READ)
@blueprint.arguments(ReportRangeQuery, location="query")
@blueprint.response(200, FlowReport)
def show_flow(query: dict[str, Any]) -> dict[str, object]:
    """Cumulative flow: how many tasks stood in each status at the end of each day."""
    return {"items": services().reports.flow(current_actor(), **query)}


@blueprint.get("/cycle-time")
@requires(Permission.TASK_READ)
@blueprint.arguments(ReportRangeQuery, location="query")
@blueprint.response(200, CycleTimeReport)
def show_cycle_time(query: dict[str, Any]) -> dict[str, object]:
    """Percentiles of the time from started to done, by the week in which tasks were done."""
    return {"items": services().reports.cycle_time(current_actor(), **query)}


@blueprint.get("/aging")
@requires(Permission.TASK_READ)
@blueprint.arguments(ReportQuery, location="query")
@blueprint.response(200, AgingReport)
def show_aging(query: dict[str, Any]) -> dict[str, object]:
    """How long the active tasks have been open."""
    return {"items": services().reports.aging(current_actor(), **query)}
