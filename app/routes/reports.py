"""/api/v1/reports: how the work goes, each number with the request that lists its tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.http.downloads import csv_response, filename_of
from app.http.file_answers import CSV, page_or_file
from app.http.identity.access import current_actor, requires
from app.http.openapi import Blueprint
from app.http.responses import value_response
from app.schemas.reports import AgingReport, CycleTimeReport, FlowReport, ReportQuery, ReportRangeQuery

blueprint = Blueprint("reports", __name__, url_prefix="/api/v1/reports", description="Reports")


@blueprint.get("/flow")
@requires(Permission.TASK_READ)
@blueprint.arguments(ReportRangeQuery, location="query")
@blueprint.response(200, FlowReport)
@blueprint.doc(responses=page_or_file(FlowReport, CSV))
def show_flow(query: dict[str, Any]) -> Response:
    """Show how many tasks had each status at the end of each day: the cumulative flow, oldest day first.

    For today, it is the status now. The report reads the history, so a task does not count before it came in,
    whatever its `created_at`.
    """
    if query.pop("format") == "csv":
        return csv_response(
            services().reports.write_flow(current_actor(), **query), filename_of("flow", "csv", **query)
        )
    return value_response({"items": with_links(services().reports.flow(current_actor(), **query))})


@blueprint.get("/cycle-time")
@requires(Permission.TASK_READ)
@blueprint.arguments(ReportRangeQuery, location="query")
@blueprint.response(200, CycleTimeReport)
@blueprint.doc(responses=page_or_file(CycleTimeReport, CSV))
def show_cycle_time(query: dict[str, Any]) -> Response:
    """Show how long tasks took from `started_at` to `completed_at`, by the week of their completion.

    The percentiles are in seconds. Tasks that were completed without being in progress are neither counted nor
    listed. Weeks without a task are left out.
    """
    if query.pop("format") == "csv":
        return csv_response(
            services().reports.write_cycle_time(current_actor(), **query), filename_of("cycle-time", "csv", **query)
        )
    return value_response({"items": with_links(services().reports.cycle_time(current_actor(), **query))})


@blueprint.get("/aging")
@requires(Permission.TASK_READ)
@blueprint.arguments(ReportQuery, location="query")
@blueprint.response(200, AgingReport)
@blueprint.doc(responses=page_or_file(AgingReport, CSV))
def show_aging(query: dict[str, Any]) -> Response:
    """Show how long the active tasks have been open since `created_at`, in days of 24 hours."""
    if query.pop("format") == "csv":
        return csv_response(
            services().reports.write_aging(current_actor(), **query), filename_of("aging", "csv", **query)
        )
    return value_response({"items": with_links(services().reports.aging(current_actor(), **query))})


def with_links(items: Sequence[Any]) -> list[dict[str, Any]]:
    """The items of a report, with the request that lists the tasks behind each number in place of its filters."""
    return [_with_link(asdict(item)) for item in items]


def _with_link(item: Mapping[str, Any]) -> dict[str, Any]:
    linked = {name: value for name, value in item.items() if name != "filters"}
    if "filters" in item:
        linked["tasks"] = f"/api/v1/tasks?{urlencode(item['filters'])}"
    if "statuses" in item:
        linked["statuses"] = [_with_link(status) for status in item["statuses"]]
    return linked
