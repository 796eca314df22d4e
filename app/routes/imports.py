"""/api/v1/imports: CSV files, what became of each row, and what the words of a project's files mean."""

from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import IdempotencyKeyReusedError, ImportUnderWayError, ProjectArchivedError, UnreadableCsvError
from app.http.bodies import takes_file
from app.http.downloads import csv_response
from app.http.file_answers import CSV, page_or_file
from app.http.identity.access import current_actor, requires
from app.http.openapi import LOCATION, Blueprint, raises, versioned
from app.http.rate_limits import LimitName, limited_unless
from app.http.responses import no_content, page_response, precondition, row_response, versioned_response
from app.http.uploads import Upload
from app.schemas.base import PageQuery
from app.schemas.imports.imports import (
    CommentImportForm,
    CsvUpload,
    Import,
    ImportErrorsQuery,
    ImportForm,
    ImportHeaders,
    ImportPage,
    ImportProblemPage,
)
from app.schemas.imports.words import ImportMapping, ImportMappingInput
from app.services.imports.imports import ImportOptions

blueprint = Blueprint("imports", __name__, url_prefix="/api/v1", description="CSV imports")


def _is_dry_run(_headers: dict[str, Any], options: ImportOptions, _files: dict[str, Any]) -> bool:
    return options.is_dry_run


@blueprint.post("/imports")
@takes_file
@requires(Permission.IMPORT_CREATE)
@blueprint.arguments(ImportHeaders, location="headers")
@blueprint.arguments(ImportForm, location="form")
@blueprint.arguments(CsvUpload, location="files")
@limited_unless(_is_dry_run, LimitName.UPLOAD)
@blueprint.response(201, Import, headers=LOCATION)
@blueprint.alt_response(202, Import, headers=LOCATION)
@raises(ImportUnderWayError, IdempotencyKeyReusedError, ProjectArchivedError, UnreadableCsvError)
def create_import(headers: dict[str, Any], options: ImportOptions, files: dict[str, Any]) -> Response:
    """Import a CSV file: good rows become tasks, bad ones are reported. Managers and admins only.

    Ten uploads an hour are allowed, and dry runs do not count. The file is the last field of the form, since it is read
    while it arrives. A small file has been imported when the answer comes (201). Read the import of any other file at
    `Location` until it has ended (202).
    """
    return _answer_to_upload(headers, options, files)


@blueprint.post("/imports/comments")
@takes_file
@requires(Permission.IMPORT_CREATE)
@blueprint.arguments(ImportHeaders, location="headers")
@blueprint.arguments(CommentImportForm, location="form")
@blueprint.arguments(CsvUpload, location="files")
@limited_unless(_is_dry_run, LimitName.UPLOAD)
@blueprint.response(201, Import, headers=LOCATION)
@blueprint.alt_response(202, Import, headers=LOCATION)
@raises(ImportUnderWayError, IdempotencyKeyReusedError, ProjectArchivedError, UnreadableCsvError)
def import_comments(headers: dict[str, Any], options: ImportOptions, files: dict[str, Any]) -> Response:
    """Import comments from a CSV file as the export of comments writes it. Managers and admins only.

    It is an import like that of tasks, with the same limit, states and reports. A row names its task by `task` or
    `external_ref`. A comment that exists is skipped, so the same file twice adds nothing.
    """
    return _answer_to_upload(headers, options, files)


def _answer_to_upload(headers: dict[str, Any], options: ImportOptions, files: dict[str, Any]) -> Response:
    upload: Upload = files["file"]
    outcome = services().imports.import_csv(
        current_actor(), upload, filename=upload.filename, options=options, **headers
    )
    status = 201 if outcome.is_finished else 202
    return row_response(outcome.row, status, {"Location": f"/api/v1/imports/{outcome.import_id}"})


@blueprint.get("/imports")
@requires(Permission.IMPORT_READ)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, ImportPage)
def list_imports(query: dict[str, Any]) -> Response:
    """List the imports into your projects, newest first. Managers and admins only."""
    return page_response(services().imports.list_page(current_actor(), **query))


@blueprint.get("/imports/<id:import_id>")
@requires(Permission.IMPORT_READ)
@blueprint.response(200, Import)
def show_import(import_id: int) -> Response:
    """Show the state and the counts of an import. Managers and admins only."""
    return row_response(services().imports.get(current_actor(), import_id))


@blueprint.get("/imports/<id:import_id>/errors")
@requires(Permission.IMPORT_READ)
@blueprint.arguments(ImportErrorsQuery, location="query")
@blueprint.response(200, ImportProblemPage)
@blueprint.doc(responses=page_or_file(ImportProblemPage, CSV))
def list_import_errors(query: dict[str, Any], import_id: int) -> Response:
    """List what was wrong with each refused row, in the order of the file. Managers and admins only.

    With `format=csv`, the answer holds the refused rows themselves, in the delimiter and encoding of the uploaded file.
    Correct them and upload the file again; the import ignores the column `error`.
    """
    if query.pop("format") == "csv":
        pieces, codec = services().imports.write_errors(current_actor(), import_id)
        return csv_response(pieces, f"import-{import_id}-errors.csv", codec)
    return page_response(services().imports.list_errors(current_actor(), import_id, **query))


@blueprint.get("/projects/<key>/import-mapping")
@requires(Permission.IMPORT_READ)
@blueprint.response(200, ImportMapping)
@versioned
def show_import_mapping(key: str) -> Response:
    """Show what the words of a project's import files mean. Managers and admins only.

    An import that names a map keeps it for the next one, unless the map is empty. A file with all columns of our own
    export is read without these maps, and so is a file sent to `/upload-csv`.
    """
    return versioned_response(services().import_mappings.get(current_actor(), key))


@blueprint.put("/projects/<key>/import-mapping")
@requires(Permission.IMPORT_CREATE)
@blueprint.arguments(ImportMappingInput)
@blueprint.response(200, ImportMapping)
@raises(ProjectArchivedError)
@versioned
def replace_import_mapping(maps: dict[str, Any], key: str) -> Response:
    """Set what the words of a project's import files mean. Managers and admins only.

    An absent map becomes empty. An import uses those that it does not name itself.
    """
    mapping = services().import_mappings.replace(current_actor(), key, maps, may_overwrite=precondition())
    return versioned_response(mapping)


@blueprint.delete("/projects/<key>/import-mapping")
@requires(Permission.IMPORT_CREATE)
@blueprint.response(204)
@raises(ProjectArchivedError)
@versioned
def delete_import_mapping(key: str) -> Response:
    """Forget what the words of a project's import files mean. Managers and admins only."""
    services().import_mappings.clear(current_actor(), key, may_overwrite=precondition())
    return no_content()
