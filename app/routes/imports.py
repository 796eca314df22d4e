"""/api/v1/imports: CSV files, and what became of each row."""

from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition import services
from app.http.authentication import current_actor, requires
from app.http.bodies import takes_file
from app.http.openapi import Blueprint
from app.http.rate_limits import LimitName, limited
from app.http.responses import json_response, page_response
from app.schemas.base import PageQuery
from app.schemas.imports import CsvFile, Import, ImportOptions, ImportPage, ImportProblemPage

blueprint = Blueprint("imports", __name__, url_prefix="/api/v1/imports", description="CSV imports")


@blueprint.post("")
@limited(LimitName.UPLOAD)
@takes_file
@requires(Permission.IMPORT_CREATE)
@blueprint.arguments(CsvFile, location="files")
@blueprint.arguments(ImportOptions, location="form")
@blueprint.response(201, Import)
def create_import(files: dict[str, Any], options: dict[str, Any]) -> Response:
    """Import a CSV: good rows become tasks, bad ones are listed with the reason. Managers and admins."""
    upload = files["file"]
    outcome = services().imports.import_csv(
        current_actor(),
        upload.stream,
        filename=upload.filename or "",
        project_key=options["project"],
        is_dry_run=options["dry_run"],
    )
    return json_response(outcome.body, 201, {"Location": f"/api/v1/imports/{outcome.import_id}"})


@blueprint.get("")
@requires(Permission.IMPORT_READ)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, ImportPage)
def list_imports(query: dict[str, Any]) -> Response:
    """List the imports into your projects, newest first. Managers and admins."""
    return page_response(services().imports.list_page(current_actor(), **query))


@blueprint.get("/<id:import_id>")
@requires(Permission.IMPORT_READ)
@blueprint.response(200, Import)
def show_import(import_id: int) -> Response:
    """One import: its state and counts. Managers and admins."""
    return json_response(services().imports.get(current_actor(), import_id))


@blueprint.get("/<id:import_id>/errors")
@requires(Permission.IMPORT_READ)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, ImportProblemPage)
def list_import_errors(query: dict[str, Any], import_id: int) -> Response:
    """List what was wrong with each refused row, in the order of the file. Managers and admins."""
    return page_response(services().imports.list_errors(current_actor(), import_id, **query))
