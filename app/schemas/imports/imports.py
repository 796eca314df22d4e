"""The shape of imports, of the requests for them, and of the report on their refused rows."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from app.csv_files.blocks import DELIMITERS
from app.csv_files.encodings import Encoding
from app.csv_files.words import OWN_PRIORITIES, OWN_STATUSES
from app.models.imports.task_import import DateFormat, DuplicatePolicy, ImportKind, ImportMode, ImportState
from app.models.projects.project import DEFAULT_PROJECT_KEY
from app.schemas.base import Format, PageOrFileQuery, StrictSchema, page_schema
from app.schemas.imports.words import WordMaps, WrittenWordMap, field_name, person_name
from app.schemas.projects import ProjectKey
from app.schemas.tasks.inputs import Priority, Status
from app.services.imports.imports import MAX_WAIT_SECONDS, ImportOptions

MAX_IDEMPOTENCY_KEY_LENGTH = 255
_DELIMITER_NAMES = {"\t": "tab"}
_WAIT = re.compile(r"wait=(\d{1,9})", re.ASCII)


class CsvUpload(StrictSchema):
    file = fields.Raw(
        required=True,
        metadata={
            "type": "string",
            "format": "binary",
            "description": "needed, as the last field of the form; CSV with task_name and any of description, status, "
            "priority, created_at, assigned_user, due_at, labels, external_ref; for comments, with the columns of "
            "their export",
        },
    )


class Delimiter(fields.String):
    """A delimiter: the character itself, or `tab`."""

    def __init__(self, **kwargs: Any) -> None:
        names = [_DELIMITER_NAMES.get(delimiter, delimiter) for delimiter in DELIMITERS]
        super().__init__(validate=validate.OneOf(DELIMITERS, error=f"Must be one of: {' '.join(names)}."), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        words = super()._deserialize(value, attr, data, **kwargs)
        return "\t" if words == "tab" else str(words)


class ImportForm(StrictSchema):
    """Every field is optional. In the form, the file comes after them."""

    project = ProjectKey(load_default=DEFAULT_PROJECT_KEY)
    dry_run = fields.Boolean(
        load_default=False, metadata={"description": "checks and reports on the whole file, and creates nothing"}
    )
    mode = fields.Enum(
        ImportMode,
        by_value=True,
        load_default=ImportMode.SKIP_BAD,
        metadata={"description": "`all_or_nothing`: one bad row refuses the whole file"},
    )
    on_duplicate = fields.Enum(
        DuplicatePolicy,
        by_value=True,
        load_default=DuplicatePolicy.CREATE,
        metadata={
            "description": "what to do with a row whose task exists: create another task, skip the row, or update "
            "the task"
        },
    )
    create_users = fields.Boolean(
        load_default=True, metadata={"description": "`false`: a row with an unknown assignee is refused"}
    )
    encoding = fields.Enum(Encoding, by_value=True, metadata={"description": "detected if absent"})
    delimiter = Delimiter(metadata={"description": "detected if absent"})
    date_format = fields.Enum(
        DateFormat,
        by_value=True,
        metadata={"description": "how dates are written; `us` if absent; every format also reads ISO 8601"},
    )
    day_first = fields.Boolean(metadata={"description": "`true`: short for `date_format=day_first`"})
    column_map = WrittenWordMap(
        field_name(),
        metadata={
            "description": 'the fields that columns of the file fill, as JSON: `{"Titel": "title", "Zweck": null}`; '
            "null ignores a column; kept for the next import into the project, which uses it if it names none; an "
            "empty map means none for this import, and is not kept"
        },
    )
    status_map = WrittenWordMap(
        Status(),
        OWN_STATUSES,
        metadata={
            "description": 'the same for words of the file: `{"This week": "in_progress"}`; our own statuses, `true` '
            "and `false` always keep their meaning"
        },
    )
    priority_map = WrittenWordMap(
        Priority(),
        OWN_PRIORITIES,
        metadata={"description": "the same for priorities; our own always keep their meaning"},
    )
    people_map = WrittenWordMap(
        person_name(), metadata={"description": "the same for people: a username, an email address, or null for nobody"}
    )

    @validates_schema
    def _names_one_date_format(self, values: dict[str, Any], **_kwargs: Any) -> None:
        named = values.get("date_format", DateFormat.DAY_FIRST)
        if values.get("day_first") and named is not DateFormat.DAY_FIRST:
            raise ValidationError(f"Contradicts date_format={named.value}.", "day_first")

    @post_load
    def _options(self, values: dict[str, Any], **_kwargs: Any) -> ImportOptions:
        return ImportOptions(
            project=values["project"],
            is_dry_run=values["dry_run"],
            mode=values["mode"],
            on_duplicate=values["on_duplicate"],
            creates_users=values["create_users"],
            encoding=values.get("encoding"),
            delimiter=values.get("delimiter"),
            date_format=values.get("date_format")
            or (DateFormat.DAY_FIRST if values.get("day_first") else DateFormat.US),
            column_map=values.get("column_map"),
            status_map=values.get("status_map"),
            priority_map=values.get("priority_map"),
            people_map=values.get("people_map"),
        )


class CommentImportForm(StrictSchema):
    """Every field is optional. In the form, the file comes after them."""

    project = ProjectKey(load_default=DEFAULT_PROJECT_KEY)
    dry_run = fields.Boolean(
        load_default=False, metadata={"description": "checks and reports on the whole file, and creates nothing"}
    )
    create_users = fields.Boolean(
        load_default=True, metadata={"description": "`false`: a row with an unknown author is refused"}
    )

    @post_load
    def _options(self, values: dict[str, Any], **_kwargs: Any) -> ImportOptions:
        return ImportOptions(
            project=values["project"],
            kind=ImportKind.COMMENTS,
            is_dry_run=values["dry_run"],
            # An import that looks for what exists has the project to itself.
            on_duplicate=DuplicatePolicy.SKIP,
            creates_users=values["create_users"],
        )


class Waiting(fields.String):
    """How many seconds the client is willing to wait, by a Prefer header (RFC 7240). None if it does not say."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        preferences = [word.strip().lower() for word in super()._deserialize(value, attr, data, **kwargs).split(",")]
        if "respond-async" in preferences:
            return 0
        wait = next((found for word in preferences if (found := _WAIT.fullmatch(word))), None)
        return None if wait is None else min(int(wait[1]), MAX_WAIT_SECONDS)


class ImportHeaders(Schema):
    wait_seconds = Waiting(
        data_key="Prefer",
        load_default=None,
        metadata={"description": "`wait=20` waits up to 20 seconds, 30 at most; `respond-async` does not wait"},
    )
    idempotency_key = fields.String(
        data_key="Idempotency-Key",
        load_default=None,
        validate=validate.Length(1, MAX_IDEMPOTENCY_KEY_LENGTH),
        metadata={"description": "the same key leads to the same import"},
    )


class ImportSummary(Schema):
    id = fields.Integer(required=True)
    kind = fields.Enum(ImportKind, by_value=True, required=True, metadata={"description": "what the rows are"})
    filename = fields.String(required=True)
    project = fields.String(required=True)
    creator = fields.String(required=True)
    is_dry_run = fields.Boolean(required=True)
    mode = fields.Enum(ImportMode, by_value=True, required=True)
    on_duplicate = fields.Enum(DuplicatePolicy, by_value=True, required=True)
    create_users = fields.Boolean(required=True)
    ignored_columns = fields.List(
        fields.String(), required=True, metadata={"description": "the first 50, and how many more there are"}
    )
    state = fields.Enum(ImportState, by_value=True, required=True)
    read_count = fields.Integer(required=True, metadata={"description": "rows of the file"})
    created_count = fields.Integer(required=True, metadata={"description": "new tasks or comments"})
    updated_count = fields.Integer(required=True, metadata={"description": "rows that changed a task"})
    skipped_count = fields.Integer(
        required=True,
        metadata={
            "description": "rows whose task exists and was not changed, rows that are no tasks, and comments that exist"
        },
    )
    refused_count = fields.Integer(required=True, metadata={"description": "bad rows"})
    error_count = fields.Integer(
        required=True, metadata={"description": "problems in bad rows; the report keeps the first 10,000"}
    )
    failure = fields.String(required=True, allow_none=True, metadata={"description": "why the import failed"})
    created_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "null until the import has ended"}
    )


class ProblemGroup(Schema):
    count = fields.Integer(required=True)
    column = fields.String(required=True, allow_none=True)
    value = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True)
    message = fields.String(required=True, metadata={"description": "the count, column and cell in one sentence"})


class Import(ImportSummary, WordMaps):
    """An import with the words that it used, and its most frequent problems."""

    date_format = fields.Enum(DateFormat, by_value=True, required=True)
    problem_groups = fields.List(
        fields.Nested(ProblemGroup),
        required=True,
        metadata={"description": "the 20 most frequent problems; beyond 200 different ones the rarest do not count"},
    )


class ImportErrorsQuery(PageOrFileQuery):
    format = Format(
        "csv", description="`csv`: each refused row once and unchanged, with a column `error`, without pages"
    )


class ImportProblem(Schema):
    row = fields.Integer(required=True, metadata={"description": "counts from 1, without the header and empty lines"})
    line = fields.Integer(required=True, metadata={"description": "the line of the file where the row begins"})
    sheet_row = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "the row of a spreadsheet that shows the file; null in reports of an older release"},
    )
    column = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "its name in the file; null if the row as a whole is wrong"},
    )
    value = fields.String(required=True, allow_none=True, metadata={"description": "the cell, cut to 200 characters"})
    reason = fields.String(required=True)
    message = fields.String(
        required=True, metadata={"description": "line, row of the sheet, column and reason in one sentence"}
    )


ImportPage = page_schema(ImportSummary, "ImportPage")
ImportProblemPage = page_schema(ImportProblem, "ImportProblemPage")
