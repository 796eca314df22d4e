"""The SQL of imports: how far each is, and the report on what was refused."""

from datetime import datetime
from typing import Any

from sqlalchemy import Text, cast, select, update
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.project import Project
from app.models.task_import import ImportState, RowError, TaskImport
from app.models.user import User
from app.repositories.pages import AnySelect, Page, decode_cursor, is_integer, json_object, page_of

IMPORT_FIELDS: dict[str, Any] = {
    "id": TaskImport.id,
    "filename": TaskImport.filename,
    "project": Project.key,
    "creator": User.username,
    "is_dry_run": TaskImport.is_dry_run,
    "state": TaskImport.state,
    "read_count": TaskImport.read_count,
    "created_count": TaskImport.created_count,
    "refused_count": TaskImport.refused_count,
    "failure": TaskImport.failure,
    "created_at": TaskImport.created_at,
    "finished_at": TaskImport.finished_at,
}
ERROR_FIELDS: dict[str, Any] = {
    "row": RowError.row_number,
    "line": RowError.line_number,
    "column": RowError.column_name,
    "value": RowError.value,
    "reason": RowError.reason,
}


class ImportRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, task_import: TaskImport) -> None:
        """Flushes, so that the import has its id."""
        self._session.add(task_import)
        self._session.flush()

    def flush(self) -> None:
        """Write how far the import is, for SQL that reads it back."""
        self._session.flush()

    def fail(self, import_id: int, reason: str, *, at: datetime) -> None:
        values = {"state": ImportState.FAILED, "failure": reason, "created_count": 0, "finished_at": at}
        self._session.execute(update(TaskImport).where(TaskImport.id == import_id).values(values))

    def get_json(self, actor: Actor, import_id: int) -> str | None:
        found: str | None = self._session.scalar(
            _visible_to(actor, select(json_object(IMPORT_FIELDS))).where(TaskImport.id == import_id)
        )
        return found

    def list_page(self, actor: Actor, *, cursor: str | None, limit: int) -> Page:
        """Newest first."""
        statement = _visible_to(actor, select(json_object(IMPORT_FIELDS), cast(TaskImport.id, Text), TaskImport.id))
        if cursor is not None:
            statement = statement.where(TaskImport.id < decode_cursor(cursor, "-id", is_integer).id)
        rows = self._session.execute(statement.order_by(TaskImport.id.desc()).limit(limit + 1)).all()
        return page_of(rows, limit=limit, sort="-id", total=None)

    def list_errors(self, import_id: int, *, cursor: str | None, limit: int) -> Page:
        """In the order of the file."""
        statement = select(json_object(ERROR_FIELDS), cast(RowError.row_number, Text), RowError.problem_number).where(
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


def _visible_to(actor: Actor, statement: AnySelect) -> AnySelect:
    """Every look at imports starts here: those into one's projects."""
    statement = statement.join_from(TaskImport, Project, Project.id == TaskImport.project_id).join(
        User, User.id == TaskImport.creator_id
    )
    return statement if actor.sees_everything else statement.where(TaskImport.project_id.in_(actor.project_ids))
