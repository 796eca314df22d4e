"""The SQL of imports: their progress, and the report on refused rows."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Text, case, cast, func, insert, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.csv_files.problems import MAX_SHOWN_GROUPS
from app.csv_files.rows import RefusedRow
from app.csv_files.writing import ReportedRow
from app.database.engine import violated_constraint
from app.errors import ImportUnderWayError
from app.models.imports.mapping import ImportMapping
from app.models.imports.task_import import DateFormat, RowError, TaskImport
from app.models.people.user import User
from app.models.projects.project import Project
from app.queries.pages import JsonRow, Page, VersionedRow, decode_cursor, is_integer
from app.repositories.pages import AnySelect, json_text, page_of, row_of

IMPORT_FIELDS: dict[str, Any] = {
    "id": TaskImport.id,
    "kind": TaskImport.kind,
    "filename": TaskImport.filename,
    "project": Project.key,
    "creator": User.username,
    "is_dry_run": TaskImport.is_dry_run,
    "mode": TaskImport.mode,
    "on_duplicate": TaskImport.on_duplicate,
    "create_users": TaskImport.creates_users,
    "ignored_columns": TaskImport.ignored_columns,
    "state": TaskImport.state,
    "read_count": TaskImport.read_count,
    "created_count": TaskImport.created_count,
    "updated_count": TaskImport.updated_count,
    "skipped_count": TaskImport.skipped_count,
    "refused_count": TaskImport.refused_count,
    "error_count": TaskImport.error_count,
    "failure": TaskImport.failure,
    "created_at": TaskImport.created_at,
    "finished_at": TaskImport.finished_at,
}
IMPORT_DETAIL_FIELDS: dict[str, Any] = {
    **IMPORT_FIELDS,
    "date_format": func.coalesce(
        cast(TaskImport.date_format, Text),
        case((TaskImport.is_day_first, DateFormat.DAY_FIRST.value), else_=DateFormat.US.value),
    ),
    "column_map": TaskImport.column_map,
    "status_map": TaskImport.status_map,
    "priority_map": TaskImport.priority_map,
    "people_map": TaskImport.people_map,
    "problem_groups": func.jsonb_path_query_array(TaskImport.problem_groups, f"$[0 to {MAX_SHOWN_GROUPS - 1}]"),
}
MAPPING_FIELDS: dict[str, Any] = {
    "column_map": ImportMapping.column_map,
    "status_map": ImportMapping.status_map,
    "priority_map": ImportMapping.priority_map,
    "people_map": ImportMapping.people_map,
    "updated_at": ImportMapping.updated_at,
    "version": ImportMapping.version,
}
NO_MAPPING = b'{"column_map":{},"status_map":{},"priority_map":{},"people_map":{},"updated_at":null,"version":0}'
# The place of a problem, for somebody who has the file open in an editor or in a spreadsheet.
_PLACE = func.concat(
    "line ",
    RowError.line_number,
    func.coalesce(literal(" (row ") + cast(RowError.sheet_row, Text) + " of the sheet)", ""),
    func.coalesce(literal(", column ") + RowError.column_name, ""),
)
_MESSAGE = func.concat(_PLACE, ": ", RowError.reason)
ERROR_FIELDS: dict[str, Any] = {
    "row": RowError.row_number,
    "line": RowError.line_number,
    "sheet_row": RowError.sheet_row,
    "column": RowError.column_name,
    "value": RowError.value,
    "reason": RowError.reason,
    "message": _MESSAGE,
}


class ImportRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, task_import: TaskImport) -> None:
        """Flushes to get the import's id. Raises ImportUnderWayError when another upload took the key."""
        self._session.add(task_import)
        try:
            self._session.flush()
        except IntegrityError as error:
            if violated_constraint(error) == "uq_imports_creator_id_idempotency_key":
                raise ImportUnderWayError(
                    "another upload with this Idempotency-Key has just begun; try again", retry_after_seconds=1
                ) from error
            raise

    def flush(self) -> None:
        """Write the progress of the import, for SQL that reads it."""
        self._session.flush()

    def get(self, import_id: int) -> TaskImport | None:
        """The import as it is now, read anew from the database."""
        return self._session.get(TaskImport, import_id, populate_existing=True)

    def find_by_key_for_update(self, creator_id: int, idempotency_key: str) -> TaskImport | None:
        """The import with that key, read anew and locked until the commit."""
        statement = select(TaskImport).where(
            TaskImport.creator_id == creator_id, TaskImport.idempotency_key == idempotency_key
        )
        return self._session.scalar(statement.with_for_update().execution_options(populate_existing=True))

    def add_refused(self, import_id: int, refused: Iterable[RefusedRow]) -> None:
        """Add the rows to the report. A row's cells are stored with the first of its problems."""
        values = [
            {
                "import_id": import_id,
                "row_number": row.row_number,
                "problem_number": number,
                "line_number": row.line_number,
                "sheet_row": row.sheet_row,
                "column_name": problem.column,
                "value": _storable(problem.value) if problem.value is not None else None,
                "reason": _storable(problem.reason),
                "cells": [_storable(cell) for cell in row.cells] if number == 1 else None,
            }
            for row in refused
            for number, problem in enumerate(row.problems, 1)
        ]
        if values:
            self._session.execute(insert(RowError), values)

    def get_row(self, actor: Actor, import_id: int) -> JsonRow | None:
        statement = _visible_to(actor, select(json_text(IMPORT_DETAIL_FIELDS))).where(TaskImport.id == import_id)
        return row_of(self._session.scalar(statement))

    def get_mapping(self, project_id: int) -> ImportMapping | None:
        return self._session.get(ImportMapping, project_id, populate_existing=True)

    def get_mapping_row(self, project_id: int) -> VersionedRow:
        """The mapping of the project, which is empty if nothing was kept."""
        statement = select(json_text(MAPPING_FIELDS), ImportMapping.version)
        row = self._session.execute(statement.where(ImportMapping.project_id == project_id)).one_or_none()
        json, version = (row[0].encode(), row.version) if row is not None else (NO_MAPPING, 0)
        return VersionedRow(json, project_id, version)

    def lock_mapping(self, project_id: int) -> None:
        """Lock the mapping of the project until the commit, also if nothing was kept."""
        self._session.execute(upsert(ImportMapping).values(project_id=project_id).on_conflict_do_nothing())
        statement = select(ImportMapping.project_id).where(ImportMapping.project_id == project_id)
        self._session.execute(statement.with_for_update())

    def keep_mapping(self, project_id: int, maps: Mapping[str, Mapping[str, Any]], *, at: datetime) -> None:
        """Keep these maps of the project. Those that are not named stay."""
        values = {**maps, "updated_at": at}
        statement = upsert(ImportMapping).values(project_id=project_id, **values, version=1)
        changed = {**values, "version": ImportMapping.version + 1}
        self._session.execute(statement.on_conflict_do_update(index_elements=["project_id"], set_=changed))

    def list_page(self, actor: Actor, *, cursor: str | None, limit: int) -> Page:
        """Newest first."""
        statement = _visible_to(actor, select(json_text(IMPORT_FIELDS), cast(TaskImport.id, Text), TaskImport.id))
        if cursor is not None:
            statement = statement.where(TaskImport.id < decode_cursor(cursor, "-id", is_integer).id)
        rows = self._session.execute(statement.order_by(TaskImport.id.desc()).limit(limit + 1)).all()
        return page_of(rows, limit=limit, sort="-id", total=None)

    def list_reported_rows(self, import_id: int, *, after_row: int, limit: int) -> Sequence[ReportedRow]:
        """The rows after `after_row`, in the order of the file."""
        statement = (
            select(
                RowError.row_number,
                func.min(RowError.cells),
                func.string_agg(_MESSAGE, aggregate_order_by(literal("; "), RowError.problem_number)),
            )
            .where(RowError.import_id == import_id, RowError.row_number > after_row)
            .group_by(RowError.row_number)
            .order_by(RowError.row_number)
            .limit(limit)
        )
        return [ReportedRow(*row) for row in self._session.execute(statement)]

    def list_errors(self, import_id: int, *, cursor: str | None, limit: int) -> Page:
        """The problems of refused rows, in the order of the file."""
        statement = select(json_text(ERROR_FIELDS), cast(RowError.row_number, Text), RowError.problem_number).where(
            RowError.import_id == import_id
        )
        if cursor is not None:
            position = decode_cursor(cursor, "row", is_integer)
            row_number = int(position.key)
            statement = statement.where(
                (RowError.row_number > row_number)
                | ((RowError.row_number == row_number) & (RowError.problem_number > position.id))
            )
        rows = self._session.execute(
            statement.order_by(RowError.row_number, RowError.problem_number).limit(limit + 1)
        ).all()
        return page_of(rows, limit=limit, sort="row", total=None)


def _storable(cell: str) -> str:
    return cell.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _visible_to(actor: Actor, statement: AnySelect) -> AnySelect:
    """Limit a statement to imports into the actor's projects. Every list starts here."""
    statement = statement.join_from(TaskImport, Project, Project.id == TaskImport.project_id).join(
        User, User.id == TaskImport.creator_id
    )
    return statement if actor.sees_everything else statement.where(TaskImport.project_id.in_(actor.project_ids))
