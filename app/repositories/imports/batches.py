"""The SQL of a batch of imported rows: COPY into a temporary table, set-based from there into tasks.

A batch lives in one transaction. Whether a row has a task already is found by `external_ref` where the row names one,
else by title, description, day of creation and assignee.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from psycopg2.errors import QueryCanceled
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.csv_files.rows import ImportedRow
from app.models.imports.task_import import DuplicatePolicy, TaskImport
from app.repositories.copy_text import NULL, CopySource, array_literal, escaped

_MAKE_BATCH = text("""
    CREATE TEMPORARY TABLE IF NOT EXISTS import_batch (
        row_number bigint, title text, description text, status task_status, priority task_priority,
        created_at timestamptz, due_at timestamptz, labels text[], assignee_id bigint, assignee_name text,
        external_ref text
    ) ON COMMIT DROP
""")
_FILL_BATCH = "COPY import_batch FROM STDIN"
_INSERT = """
    INSERT INTO tasks (project_id, number, position, title, description, status, priority, labels, creator_id,
                       assignee_id, due_at, external_ref, created_at, updated_at, started_at, completed_at)
    SELECT :project_id, :last_number + row_number() OVER by_row, :last_number + row_number() OVER by_row, title,
           description, status, priority, labels, :creator_id, assignee_id, due_at, external_ref,
           coalesce(created_at, :now), :now,
           CASE WHEN status = 'in_progress' THEN CAST(:now AS timestamptz) END,
           CASE WHEN status IN ('done', 'cancelled') THEN CAST(:now AS timestamptz) END
      FROM import_batch {chosen}
    WINDOW by_row AS (ORDER BY row_number)
     ORDER BY row_number
"""
_INSERT_ALL = text(_INSERT.format(chosen=""))
_INSERT_UNMATCHED = text(
    _INSERT.format(
        chosen="WHERE row_number IN (SELECT row_number FROM import_matches WHERE nth = 1 AND task_id IS NULL)"
    )
)
# What has been created just now is known to the rows that follow: it has the numbers in the order of its first rows.
_MATCH_CREATED = text("""
    WITH created AS (
        SELECT row_number AS first_row, fingerprint, :last_number + row_number() OVER (ORDER BY row_number) AS number
          FROM import_matches WHERE nth = 1 AND task_id IS NULL
    )
    UPDATE import_matches AS m SET task_id = t.id, known = c.fingerprint
      FROM created AS c JOIN tasks AS t ON t.project_id = :project_id AND t.number = c.number
     WHERE m.first_row = c.first_row AND m.row_number = m.written_row AND m.nth > 1
""")

# What an update may change, if the file has the column: (field, its value in the batch, in the tasks).
_COMPARED = (
    ("title", "b.title", "t.title"),
    ("description", "b.description", "t.description"),
    ("status", "b.status", "t.status"),
    ("priority", "b.priority", "t.priority"),
    ("due_at", "b.due_at", "t.due_at"),
    ("labels", "b.labels", "t.labels"),
    ("assignee", "b.assignee_name", "lower(u.username)"),
)
# `known` is what a row's task is like before this batch: as it is, or as a draft of the same file would have it by now.
# Within a batch each row follows the one before it that speaks of the same task.
_MATCH = """
    CREATE TEMPORARY TABLE import_matches ON COMMIT DROP AS
    WITH read AS (
        SELECT b.row_number, b.title, b.description, b.assignee_id, b.assignee_name, b.external_ref,
               (b.created_at AT TIME ZONE :zone)::date AS created_on,
               md5(ROW(b.title, b.description, b.assignee_name)::text)::uuid AS content,
               md5(ROW({batch_values})::text)::uuid AS fingerprint
          FROM import_batch AS b
    ), found AS (
        SELECT r.row_number, r.external_ref, r.content, r.created_on, r.fingerprint,
               coalesce(by_ref.id, by_content.id) AS task_id
          FROM read AS r
          LEFT JOIN LATERAL (
              SELECT t.id FROM tasks AS t
               WHERE t.project_id = :project_id AND t.external_ref = r.external_ref AND t.deleted_at IS NULL
               ORDER BY t.id LIMIT 1
          ) AS by_ref ON true
          LEFT JOIN LATERAL (
              SELECT t.id FROM tasks AS t
               WHERE r.external_ref IS NULL AND (r.assignee_name IS NULL OR r.assignee_id IS NOT NULL)
                 AND t.project_id = :project_id AND t.deleted_at IS NULL
                 AND hashtextextended((t.title || ' ') || t.description, 0)
                   = hashtextextended((r.title || ' ') || r.description, 0)
                 AND t.title = r.title AND t.description = r.description
                 AND t.assignee_id IS NOT DISTINCT FROM r.assignee_id
                 AND (r.created_on IS NULL OR (t.created_at AT TIME ZONE :zone)::date = r.created_on)
               ORDER BY t.id LIMIT 1
          ) AS by_content ON true
    ), matched AS (
        SELECT f.row_number, f.external_ref, f.content, f.created_on, f.fingerprint,
               coalesce(f.task_id, d.task_id) AS task_id, d.row_number AS draft,
               coalesce(d.fingerprint, md5(ROW({task_values})::text)::uuid) AS known,
               f.task_id IS NOT NULL OR d.row_number IS NOT NULL AS is_known,
               CASE WHEN d.row_number IS NOT NULL THEN 'draft ' || d.row_number
                    WHEN f.task_id IS NOT NULL THEN 'task ' || f.task_id
                    WHEN f.external_ref IS NOT NULL THEN 'ref ' || f.external_ref
                    ELSE 'content ' || ROW(f.content, f.created_on)::text END AS subject
          FROM found AS f
          LEFT JOIN LATERAL (
              SELECT d.row_number, d.task_id, d.fingerprint FROM import_drafts AS d
               WHERE d.import_id = :import_id
                 AND (d.task_id = f.task_id
                      OR f.task_id IS NULL AND d.external_ref = f.external_ref
                      OR f.task_id IS NULL AND f.external_ref IS NULL AND d.content = f.content
                         AND (f.created_on IS NULL OR d.created_on = f.created_on))
               ORDER BY d.row_number LIMIT 1
          ) AS d ON true
          LEFT JOIN tasks AS t ON t.id = f.task_id
          LEFT JOIN users AS u ON u.id = t.assignee_id
    )
    SELECT m.*,
           row_number() OVER same AS nth,
           lag(m.fingerprint) OVER same AS previous,
           first_value(m.row_number) OVER same AS first_row,
           {written} OVER (same ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS written_row
      FROM matched AS m
    WINDOW same AS (PARTITION BY m.subject ORDER BY m.row_number)
"""
_COUNT = text("""
    SELECT count(*) FILTER (WHERE nth = 1 AND NOT is_known),
           count(*) FILTER (WHERE (nth > 1 OR is_known)
                              AND fingerprint IS DISTINCT FROM CASE WHEN nth = 1 THEN known ELSE previous END)
      FROM import_matches
""")
_DRAFT = text("""
    INSERT INTO import_drafts (import_id, row_number, task_id, external_ref, content, created_on, fingerprint)
    SELECT :import_id, coalesce(draft, first_row), task_id, external_ref, content,
           coalesce(created_on, (CAST(:now AS timestamptz) AT TIME ZONE :zone)::date), fingerprint
      FROM import_matches WHERE row_number = written_row
    ON CONFLICT (import_id, row_number) DO UPDATE
       SET external_ref = coalesce(excluded.external_ref, import_drafts.external_ref),
           content = excluded.content, fingerprint = excluded.fingerprint
     WHERE :is_update
""")
_SETTERS = {
    "title": "title = b.title",
    "description": "description = b.description",
    "status": """status = b.status,
        started_at = CASE WHEN b.status = 'in_progress' THEN coalesce(t.started_at, :now) ELSE t.started_at END,
        completed_at = CASE WHEN b.status IN ('done', 'cancelled') THEN coalesce(t.completed_at, :now) END""",
    "priority": "priority = b.priority",
    "due_at": "due_at = b.due_at",
    "labels": "labels = b.labels",
    "assignee": "assignee_id = b.assignee_id",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Whom an assignee cell means. Without an id when nobody knows them yet and nothing is to be written."""

    id: int | None
    username: str
    may_be_assigned: bool = True
    # Nobody has the name, and nobody gets it: it would be taken for somebody else's.
    looks_like_another: bool = False


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    created: int
    updated: int


class ImportBatchRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def fill(self, rows: Iterable[ImportedRow], people: dict[str, Person]) -> None:
        """COPY the rows into an empty batch, each with its assignee's person."""
        self._session.execute(_MAKE_BATCH)
        self._session.execute(text("TRUNCATE import_batch"))
        connection: Any = self._session.connection().connection
        with connection.cursor() as cursor:
            source = CopySource(_copy_line(row, people) for row in rows)
            try:
                cursor.copy_expert(_FILL_BATCH, source)
            except QueryCanceled:
                # How psycopg2 tells that reading the source raised; what it raised is what the caller must hear.
                if source.error is not None:
                    raise source.error from None
                raise

    def match(self, task_import: TaskImport, fields: frozenset[str], zone: ZoneInfo) -> BatchOutcome:
        """Find out which rows of the batch have a task already, and what would become of all of them in turn."""
        compared = [(batch, task) for field, batch, task in _COMPARED if field in fields]
        is_update = task_import.on_duplicate is DuplicatePolicy.UPDATE
        statement = _MATCH.format(
            batch_values=", ".join(batch for batch, _ in compared),
            task_values=", ".join(task for _, task in compared),
            # With updates the last row of a task decides; without them the first one does.
            written=f"{'last' if is_update else 'first'}_value(m.row_number)",
        )
        self._session.execute(text("DROP TABLE IF EXISTS import_matches"))
        ids = {"import_id": task_import.id, "project_id": task_import.project_id, "zone": zone.key}
        self._session.execute(text(statement), ids)
        created, changed = self._session.execute(_COUNT).one()
        return BatchOutcome(created, changed if is_update else 0)

    def draft(self, task_import: TaskImport, zone: ZoneInfo, *, now: datetime) -> None:
        """Keep what this batch would have made, for the next batch of a file that is only checked."""
        is_update = task_import.on_duplicate is DuplicatePolicy.UPDATE
        values = {"import_id": task_import.id, "zone": zone.key, "now": now, "is_update": is_update}
        self._session.execute(_DRAFT, values)

    def create_all(self, task_import: TaskImport, *, last_number: int, now: datetime) -> None:
        """Make a task of each row of the batch, numbered from behind `last_number` in the order of the file."""
        self._session.execute(_INSERT_ALL, _insertion(task_import, last_number, now))

    def create_unmatched(self, task_import: TaskImport, *, last_number: int, now: datetime) -> None:
        """The same for the first row of each task that `match` did not find; later rows of it find it from now on."""
        self._session.execute(_INSERT_UNMATCHED, _insertion(task_import, last_number, now))
        self._session.execute(_MATCH_CREATED, {"project_id": task_import.project_id, "last_number": last_number})

    def update_matched(self, fields: frozenset[str], *, now: datetime) -> None:
        """Change the tasks that `match` found and whose last row says something else; columns that are absent stay."""
        setters = ", ".join(setter for field, setter in _SETTERS.items() if field in fields)
        statement = f"""
            UPDATE tasks AS t SET {setters}, updated_at = :now, version = t.version + 1
              FROM import_batch AS b JOIN import_matches AS m ON m.row_number = b.row_number
             WHERE t.id = m.task_id AND m.row_number = m.written_row AND m.fingerprint IS DISTINCT FROM m.known
        """  # noqa: S608 - put together from the constants above
        self._session.execute(text(statement), {"now": now})


def _insertion(task_import: TaskImport, last_number: int, now: datetime) -> dict[str, Any]:
    return {
        "project_id": task_import.project_id,
        "creator_id": task_import.creator_id,
        "last_number": last_number,
        "now": now,
    }


def _copy_line(row: ImportedRow, people: dict[str, Person]) -> str:
    """One line of COPY's text format."""
    person = people[row.assignee] if row.assignee is not None else None
    fields = (
        str(row.row_number),
        escaped(row.title),
        escaped(row.description),
        row.status,
        row.priority,
        NULL if row.created_at is None else row.created_at.isoformat(),
        NULL if row.due_at is None else row.due_at.isoformat(),
        escaped(array_literal(row.labels)) if row.labels else "{}",
        NULL if person is None or person.id is None else str(person.id),
        NULL if person is None else escaped(person.username),
        NULL if row.external_ref is None else escaped(row.external_ref),
    )
    return "\t".join(fields) + "\n"
