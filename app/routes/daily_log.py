"""/api/v1/task-logs: which tasks were active on which day."""

from dataclasses import asdict
from datetime import date
from typing import Any
from urllib.parse import urlencode

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import ConflictError
from app.http.downloads import csv_response, filename_of, xlsx_response
from app.http.file_answers import CSV, XLSX, page_or_file
from app.http.identity.access import current_actor, requires
from app.http.openapi import X_CACHE, Blueprint, raises
from app.http.responses import items_response, page_response, row_response, value_response
from app.queries.daily_log import TaskLogQuery
from app.schemas.base import FormattedQuery, PageQuery
from app.schemas.daily_log import (
    DayQuery,
    DiffQuery,
    LogDayPage,
    LogDifferencePage,
    LogRequest,
    LogRequested,
    LogRunPage,
    TaskLog,
    TaskLogListQuery,
    TaskLogPage,
)
from app.services.daily_log.reports import LogDay

blueprint = Blueprint("task_logs", __name__, url_prefix="/api/v1/task-logs", description="The daily log")


@blueprint.get("")
@requires(Permission.TASK_LOG_READ)
@blueprint.arguments(TaskLogListQuery, location="query")
@blueprint.response(200, TaskLogPage, headers=X_CACHE)
@blueprint.doc(responses=page_or_file(TaskLogPage, CSV, XLSX))
def list_task_logs(selection: FormattedQuery[TaskLogQuery]) -> Response:
    """List log rows, newest day first. `X-Cache` says whether the page came from the cache.

    A file has the fields of the JSON as columns. In CSV, times are ISO 8601 in UTC. In XLSX, days and times are dates
    of the spreadsheet, in the workspace's time zone; a sheet holds up to 1,048,575 rows.
    """
    query = selection.query
    match selection.format:
        case "csv":
            return csv_response(services().task_log_export.write_csv(current_actor(), query), _filename(query, "csv"))
        case "xlsx":
            pieces = services().task_log_export.write_workbook(current_actor(), query)
            return xlsx_response(pieces, _filename(query, "xlsx"))
    page, was_cached = services().task_logs.list_page(current_actor(), query)
    return page_response(page, was_cached=was_cached)


@blueprint.get("/<id:log_id>")
@requires(Permission.TASK_LOG_READ)
@blueprint.response(200, TaskLog)
def show_task_log(log_id: int) -> Response:
    """Show a log row."""
    return row_response(services().task_logs.get(current_actor(), log_id))


@blueprint.get("/days")
@requires(Permission.TASK_LOG_READ)
@blueprint.arguments(DayQuery, location="query")
@blueprint.response(200, LogDayPage)
@blueprint.doc(responses=page_or_file(LogDayPage, CSV))
def list_days(selection: FormattedQuery[TaskLogQuery]) -> Response:
    """Count the tasks of each logged day by status, project and assignee, newest day first.

    Days on which none of your projects had a task are left out, except for admins. A CSV file has a row for each
    number: `counted_by` is `all`, `status`, `project` or `assignee`, and `value` says which one is counted.
    """
    query = selection.query
    if selection.format == "csv":
        pieces = services().daily_log_reports.write_days(current_actor(), query)
        return csv_response(pieces, _filename(query, "csv", subject="task-log-days"))
    page = services().daily_log_reports.count_by_day(current_actor(), query)
    return items_response([with_link(day, query.project) for day in page.items], page.next_cursor)


@blueprint.get("/diff")
@requires(Permission.TASK_LOG_READ)
@blueprint.arguments(DiffQuery, location="query")
@blueprint.response(200, LogDifferencePage)
@blueprint.doc(responses=page_or_file(LogDifferencePage, CSV))
def show_differences(query: dict[str, Any]) -> Response:
    """Compare two logged days, task by task: the stand-up report.

    A task that was logged only on `to` has entered, and one that was logged only on `from` has left. A task that was
    logged on both has changed if its project, ref, title, status, priority, assignee or deadline is different. With
    `project`, and for projects that you are not in, a task that moved from one project to another enters or leaves. A
    day that was not logged is refused with 422. A CSV file has a row for each task, with each field before and after.
    """
    if query.pop("format") == "csv":
        days = {name: query[name] for name in ("since", "until", "project")}
        pieces = services().daily_log_reports.write_diff(current_actor(), **days)
        return csv_response(pieces, filename_of("task-log-diff", "csv", **days))
    page = services().daily_log_reports.diff(current_actor(), **query)
    return page_response(page) if page.counts is None else page_response(page, counts=page.counts)


@blueprint.get("/runs")
@requires(Permission.TASK_LOG_READ)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, LogRunPage)
def list_runs(query: dict[str, Any]) -> Response:
    """List how each day was logged, newest first."""
    return page_response(services().task_logs.list_runs(**query))


@blueprint.post("/runs")
@requires(Permission.TASK_LOG_RUN)
@blueprint.arguments(LogRequest, required=False)
@blueprint.response(202, LogRequested)
@raises(ConflictError)
def request_run(values: dict[str, date | None]) -> Response:
    """Request a log run for today, or for a day that is over and not final. Managers and admins only.

    A worker logs the day. The body may be absent. A final day is refused with 409. A day in the future, a day that
    the time zone never had and a day before the first task are refused with 422.
    """
    request = services().daily_log.request_day(current_actor(), values["date"])
    return value_response({"log_date": request.log_date, "message": request.message}, 202)


def with_link(day: LogDay, project: str | None) -> dict[str, Any]:
    """The day's counts, and the request that lists the day's rows."""
    filters = {"date": str(day.log_date), **({"project": project} if project else {})}
    return {**asdict(day), "tasks": f"/api/v1/task-logs?{urlencode(filters)}"}


def _filename(query: TaskLogQuery, extension: str, *, subject: str = "task-log") -> str:
    since, until = (query.since, query.until) if query.on is None else (query.on, query.on)
    return filename_of(subject, extension, project=query.project, since=since, until=until)
