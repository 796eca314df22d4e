"""The shape of imports and of the report on their refused rows."""

from marshmallow import Schema, fields

from app.models.project import DEFAULT_PROJECT_KEY
from app.models.task_import import ImportState
from app.schemas.base import StrictSchema, page_schema
from app.schemas.tasks import ProjectKey


class CsvFile(StrictSchema):
    file = fields.Raw(
        required=True,
        metadata={
            "type": "string",
            "format": "binary",
            "description": "CSV with task_name and any of description, status, priority, created_at, assigned_user, "
            "due_at, labels",
        },
    )


class ImportOptions(StrictSchema):
    project = ProjectKey(load_default=DEFAULT_PROJECT_KEY)
    dry_run = fields.Boolean(load_default=False, metadata={"description": "check the file, create nothing"})


class Import(Schema):
    id = fields.Integer(required=True)
    filename = fields.String(required=True)
    project = fields.String(required=True)
    creator = fields.String(required=True)
    is_dry_run = fields.Boolean(required=True)
    state = fields.Enum(ImportState, by_value=True, required=True)
    read_count = fields.Integer(required=True)
    created_count = fields.Integer(required=True)
    refused_count = fields.Integer(required=True)
    failure = fields.String(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)


class ImportProblem(Schema):
    row = fields.Integer(required=True, metadata={"description": "counted from 1, the header not among them"})
    line = fields.Integer(required=True, metadata={"description": "of the file, counted from 1"})
    column = fields.String(required=True, allow_none=True)
    value = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True)


class TableUploaded(Schema):
    message = fields.String(required=True)
    skipped = fields.Integer(required=True)


ImportPage = page_schema(Import, "ImportPage")
ImportProblemPage = page_schema(ImportProblem, "ImportProblemPage")
