"""The SQL of an import's rows: COPY into staging, set-based loading from there into tasks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.errors import QueryCanceled
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.models.task import TaskPriority, TaskStatus
from app.models.task_import import RowError, TaskImport

_STAGE = """
    COPY import_rows
        (import_id, row_number, line_number, title, description, status, priority, created_at, due_at, labels, assignee)
    FROM STDIN
"""
# A row whose assignee is known and not in the project is refused, as the API refuses it.
_REFUSE_STRANGERS = text("""
    WITH strangers AS (
        SELECT u.username, u.email FROM users AS u
         WHERE u.role <> 'admin' AND u.password_hash IS NOT NULL
           AND NOT EXISTS (SELECT FROM projects AS p WHERE p.id = :project_id AND p.includes_everyone)
           AND NOT EXISTS (SELECT FROM project_members AS m WHERE m.project_id = :project_id AND m.user_id = u.id)
    ), refused AS (
        DELETE FROM import_rows AS r USING strangers AS s
         WHERE r.import_id = :import_id AND lower(r.assignee) IN (lower(s.username), lower(s.email))
        RETURNING r.row_number, r.line_number, r.assignee
    )
    INSERT INTO import_errors (import_id, row_number, problem_number, line_number, column_name, value, reason)
    SELECT :import_id, row_number, 1, line_number, 'assigned_user', assignee, 'is not in the project' FROM refused
""")
# People named in the chunk whom nobody knows yet: the first spelling of each becomes an inactive user.
_ADD_UNKNOWN_ASSIGNEES = text("""
    INSERT INTO users (username, role, is_active)
    SELECT DISTINCT ON (lower(assignee)) assignee, 'user'::user_role, false
      FROM import_rows
     WHERE import_id = :import_id AND row_number <= :up_to AND assignee IS NOT NULL
       AND NOT EXISTS (SELECT FROM users WHERE lower(email) = lower(assignee))
     ORDER BY lower(assignee), row_number
    ON CONFLICT DO NOTHING
""")
# Whom only imports know is in every project that imports name them in, ready for whoever claims the account.
_ADD_UNCLAIMED_MEMBERS = text("""
    INSERT INTO project_members (project_id, user_id)
    SELECT DISTINCT p.id, u.id
      FROM import_rows AS r
      JOIN users AS u ON lower(u.username) = lower(r.assignee) AND u.password_hash IS NULL
      JOIN projects AS p ON p.id = :project_id AND NOT p.includes_everyone
     WHERE r.import_id = :import_id AND r.row_number <= :up_to
    ON CONFLICT DO NOTHING
""")
# Rows leave staging in the statement that makes tasks of them: a row lands once, however often a chunk is tried.
_LOAD_CHUNK = text("""
    WITH taken AS (
        DELETE FROM import_rows WHERE import_id = :import_id AND row_number <= :up_to RETURNING *
    ), numbered AS (
        SELECT taken.*, row_number() OVER (ORDER BY taken.row_number) AS offset_in_chunk FROM taken
    )
    INSERT INTO tasks (project_id, number, position, title, description, status, priority, labels, creator_id,
                       assignee_id, due_at, created_at, updated_at, started_at, completed_at)
    SELECT :project_id, :last_number + offset_in_chunk, :last_number + offset_in_chunk, title, description,
           numbered.status, priority, labels, :creator_id, coalesce(by_email.id, by_name.id), due_at,
           coalesce(numbered.created_at, :now), :now,
           CASE WHEN numbered.status = 'in_progress' THEN CAST(:now AS timestamptz) END,
           CASE WHEN numbered.status IN ('done', 'cancelled') THEN CAST(:now AS timestamptz) END
      FROM numbered
      LEFT JOIN users AS by_name ON lower(by_name.username) = lower(assignee)
      LEFT JOIN users AS by_email ON lower(by_email.email) = lower(assignee)
     ORDER BY numbered.row_number
""")


@dataclass(frozen=True, slots=True)
class StagedRow:
    """A row of the file that was found good."""

    row_number: int
    line_number: int
    title: str
    description: str
    status: TaskStatus
    priority: TaskPriority
    created_at: datetime | None
    due_at: datetime | None
    labels: tuple[str, ...]
    assignee: str | None


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing wrong with a row; a row may have several. `column` is None when the row as a whole is wrong."""

    row_number: int
    line_number: int
    column: str | None
    value: str | None
    reason: str


class ImportRowRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def stage(self, import_id: int, rows: Iterable[StagedRow]) -> None:
        """COPY the rows into staging as they come: memory does not grow with their number."""
        # The statement lasts as long as the file takes to read.
        self._session.execute(text("SET LOCAL statement_timeout = '30min'"))
        connection: Any = self._session.connection().connection
        with connection.cursor() as cursor:
            source = _CopySource(_copy_line(import_id, row) for row in rows)
            try:
                cursor.copy_expert(_STAGE, source)
            except QueryCanceled:
                # How psycopg2 tells that reading the source raised; what it raised is what the caller must hear.
                if source.error is not None:
                    raise source.error from None
                raise

    def add_problems(self, import_id: int, problems: Iterable[RowProblem]) -> None:
        numbered: list[dict[str, Any]] = []
        number = row_number = 0
        for problem in problems:
            number = number + 1 if problem.row_number == row_number else 1
            row_number = problem.row_number
            numbered.append(
                {
                    "import_id": import_id,
                    "row_number": row_number,
                    "problem_number": number,
                    "line_number": problem.line_number,
                    "column_name": problem.column,
                    "value": problem.value,
                    "reason": problem.reason,
                }
            )
        if numbered:
            self._session.execute(RowError.__table__.insert(), numbered)  # type: ignore[attr-defined]

    def refuse_strangers(self, task_import: TaskImport) -> int:
        """Move staged rows whose assignee is known and not in the project to the report; return how many."""
        ids = {"import_id": task_import.id, "project_id": task_import.project_id}
        return int(self._session.execute(_REFUSE_STRANGERS, ids).rowcount)  # type: ignore[attr-defined]

    def count_staged(self, import_id: int) -> int:
        statement = text("SELECT count(*) FROM import_rows WHERE import_id = :import_id")
        return int(self._session.execute(statement, {"import_id": import_id}).scalar_one())

    def find_chunk(self, import_id: int, *, size: int) -> tuple[int, int] | None:
        """The row number that the next `size` staged rows end with and how many they are; None when all are loaded."""
        statement = text("""
            SELECT max(row_number), count(*) FROM (
                SELECT row_number FROM import_rows WHERE import_id = :import_id ORDER BY row_number LIMIT :size
            ) AS chunk
        """)
        up_to, count = self._session.execute(statement, {"import_id": import_id, "size": size}).one()
        return None if up_to is None else (up_to, count)

    def load_chunk(self, task_import: TaskImport, *, up_to: int, last_number: int, now: datetime) -> int:
        """Make tasks of the staged rows up to that number; return how many."""
        chunk = {"import_id": task_import.id, "up_to": up_to, "project_id": task_import.project_id}
        self._session.execute(_ADD_UNKNOWN_ASSIGNEES, chunk)
        self._session.execute(_ADD_UNCLAIMED_MEMBERS, chunk)
        result = self._session.execute(
            _LOAD_CHUNK,
            {
                **chunk,
                "creator_id": task_import.creator_id,
                "last_number": last_number,
                "now": now,
            },
        )
        return int(result.rowcount)  # type: ignore[attr-defined]

    def drop_staged(self, import_id: int) -> None:
        self._session.execute(text("DELETE FROM import_rows WHERE import_id = :import_id"), {"import_id": import_id})


class _CopySource:
    """What psycopg2 reads a COPY from: a file whose lines are made when they are asked for."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._rest = ""
        self.error: Exception | None = None

    def read(self, size: int = -1) -> str:
        try:
            return self._read(size)
        except Exception as error:
            self.error = error
            raise

    def _read(self, size: int) -> str:
        parts = [self._rest]
        length = len(self._rest)
        for line in self._lines:
            parts.append(line)
            length += len(line)
            if 0 <= size <= length:
                break
        whole = "".join(parts)
        if size < 0:
            self._rest = ""
            return whole
        self._rest = whole[size:]
        return whole[:size]


_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def _copy_line(import_id: int, row: StagedRow) -> str:
    """One line of COPY's text format."""
    labels = ",".join('"' + label.replace("\\", r"\\").replace('"', r"\"") + '"' for label in row.labels)
    fields = (
        str(import_id),
        str(row.row_number),
        str(row.line_number),
        row.title.translate(_ESCAPES),
        row.description.translate(_ESCAPES),
        row.status.value,
        row.priority.value,
        r"\N" if row.created_at is None else row.created_at.isoformat(),
        r"\N" if row.due_at is None else row.due_at.isoformat(),
        ("{" + labels + "}").translate(_ESCAPES),
        r"\N" if row.assignee is None else row.assignee.translate(_ESCAPES),
    )
    return "\t".join(fields) + "\n"
