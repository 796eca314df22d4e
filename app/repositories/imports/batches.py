"""How a batch of imported rows becomes tasks: COPY into a temporary table, then set-based SQL.

A batch lives in one transaction. `matching` says which rows have a task already.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.csv_files.rows import ImportedRow
from app.models.imports.task_import import DuplicatePolicy, TaskImport
from app.models.tasks.fields import IMPORTED, IMPORTED_COLUMNS
from app.repositories.copy_text import copy_from, copy_line
from app.repositories.imports.link_statements import FORGET_ALL
from app.repositories.imports.links import ensure_about_tree
from app.repositories.imports.matching import (
    COUNT_MATCHES,
    CREATING_ROWS,
    DROP_MATCHES,
    MATCH_CREATED_TASKS,
    WRITE_DRAFTS,
    match_statement,
)
from app.repositories.imports.queue import RowRange
from app.repositories.imports.times import TIMES_OF_NEW_TASK
from app.repositories.imports.updatable_fields import updatable_fields

_COLUMNS = tuple(IMPORTED_COLUMNS.values())
# The values of a batch have the types of the columns that they are meant for.
_MAKE_BATCH = text(f"""
    CREATE TEMPORARY TABLE IF NOT EXISTS import_batch ON COMMIT DROP AS
    SELECT CAST(NULL AS bigint) AS row_number, {", ".join(_COLUMNS)}, CAST(NULL AS text) AS assignee_name
      FROM tasks
    WITH NO DATA
""")  # noqa: S608 - of constants
_FILL_BATCH = f"COPY import_batch (row_number, {', '.join(_COLUMNS)}, assignee_name) FROM STDIN"
_INSERT = f"""
    INSERT INTO tasks ({{noted}} project_id, number, position, creator_id, updated_at, {", ".join(_COLUMNS)})
           OVERRIDING SYSTEM VALUE
    SELECT {{noted}} :project_id, :last_number + row_number() OVER by_row, :last_number + row_number() OVER by_row,
           :creator_id, :now, {", ".join(TIMES_OF_NEW_TASK.get(column, column) for column in _COLUMNS)}
      FROM import_batch {{chosen}}
    WINDOW by_row AS (ORDER BY row_number)
     ORDER BY row_number
"""  # noqa: S608 - of constants
# In the order of their ids, so that two imports, or an import and a handover, cannot wait for each other.
_LOCK_MATCHED = text("""
    SELECT count(*) FROM (
        SELECT t.id FROM import_matches AS m JOIN tasks AS t ON t.id = m.task_id
         WHERE m.row_number = m.deciding_row AND m.fingerprint IS DISTINCT FROM m.fingerprint_before
         ORDER BY t.id
           FOR NO KEY UPDATE OF t
    ) AS locked
""")
# Without a task, the row creates one.
_TAKE_OUT_UNDUE = """
    DELETE FROM import_batch AS b USING import_matches AS m LEFT JOIN tasks AS t ON t.id = m.task_id
     WHERE m.row_number = b.row_number AND {recurrence} IS NOT NULL AND {due_at} IS NULL
    RETURNING b.row_number
"""
_ASSIGNEE = 1 + IMPORTED.index("assignee")
_INSERT_ALL = text(_INSERT.format(noted="", chosen=""))
_INSERT_UNMATCHED = text(_INSERT.format(noted="", chosen=f"WHERE row_number IN ({CREATING_ROWS})"))
_INSERT_NOTED = text(
    _INSERT.format(
        noted="id, parent_id,",
        chosen="""
     CROSS JOIN LATERAL (SELECT l.node AS id, l.parent_node AS parent_id FROM import_links AS l
                          WHERE l.import_id = :import_id AND l.row_number = import_batch.row_number LIMIT 1) AS noted
""",
    )
)


@dataclass(frozen=True, slots=True)
class Person:
    """The person that an assignee cell means. The id is None while no user has the name and none is created."""

    id: int | None
    username: str
    may_be_assigned: bool = True
    # No user has the name, and none is created: the name could be mistaken for another user's.
    looks_like_another: bool = False


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    created: int
    updated: int


class ImportBatchRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def fill(self, rows: Iterable[ImportedRow], people: dict[str, Person]) -> None:
        """COPY the rows into an empty batch. `people` has the person of each assignee cell."""
        self._session.execute(_MAKE_BATCH)
        self._session.execute(text("TRUNCATE import_batch"))
        copy_from(self._session, _FILL_BATCH, (_copy_line(row, people) for row in rows))

    def match(self, task_import: TaskImport, columns: frozenset[str], zone: ZoneInfo) -> BatchOutcome:
        """Find the task that each row of the batch means. Count the rows that create a task or change one."""
        self._session.execute(DROP_MATCHES)
        self._session.execute(
            match_statement(columns, task_import.on_duplicate),
            {"import_id": task_import.id, "project_id": task_import.project_id, "zone": zone.key},
        )
        created, changed = self._session.execute(COUNT_MATCHES).one()
        return BatchOutcome(created, changed if task_import.on_duplicate is DuplicatePolicy.UPDATE else 0)

    def take_out_undue(self, columns: frozenset[str]) -> set[int]:
        """Take out the rows whose tasks would have a recurrence rule and no deadline. Return their numbers.

        Call it after `match`, which the rest of the batch needs again.
        """
        statement = _TAKE_OUT_UNDUE.format(
            **{name: f"{'b' if name in columns else 't'}.{name}" for name in ("due_at", "recurrence")}
        )
        return set(self._session.scalars(text(statement)))

    def draft(self, task_import: TaskImport, zone: ZoneInfo, *, now: datetime) -> None:
        """Write down what this batch would have made, for the next batch of a file that is only checked."""
        is_update = task_import.on_duplicate is DuplicatePolicy.UPDATE
        values = {"import_id": task_import.id, "zone": zone.key, "now": now, "is_update": is_update}
        self._session.execute(WRITE_DRAFTS, values)

    def create_all(self, task_import: TaskImport, *, last_number: int, now: datetime) -> None:
        """Create a task for each row of the batch. Task numbers follow `last_number` in the order of the file."""
        self._session.execute(_INSERT_ALL, _insertion(task_import, last_number, now))

    def create_noted(self, task_import: TaskImport, rows: RowRange, *, last_number: int, now: datetime) -> None:
        """Create a task for each row of the batch, with the id of `note_new` and the parent of `choose_parents`.

        If the tasks above them were changed meanwhile, and a parent is no longer possible, they get no parents yet.
        """
        values = _insertion(task_import, last_number, now) | {"import_id": task_import.id}
        try:
            with self._session.begin_nested():
                self._session.execute(_INSERT_NOTED, values)
        except IntegrityError as error:
            ensure_about_tree(error)
            of_block = {"import_id": task_import.id, "first": rows.first, "last": rows.last}
            self._session.execute(FORGET_ALL, of_block)
            self._session.execute(_INSERT_NOTED, values)

    def create_unmatched(self, task_import: TaskImport, *, last_number: int, now: datetime) -> None:
        """Create a task for each subject that `match` found no task for, from its first row.

        Later rows of the subject find that task from now on.
        """
        self._session.execute(_INSERT_UNMATCHED, _insertion(task_import, last_number, now))
        self._session.execute(MATCH_CREATED_TASKS, {"project_id": task_import.project_id, "last_number": last_number})

    def lock_matched(self) -> None:
        """Lock the tasks that exist and that `update_matched` will change. Call it before task numbers are taken.

        A move of a task to another project locks the task first and the project second too.
        """
        self._session.execute(_LOCK_MATCHED)

    def update_matched(self, columns: frozenset[str], *, now: datetime) -> None:
        """Change the tasks whose deciding row differs from them. Fields without a column in the file stay."""
        setters = ", ".join(field.setter for field in updatable_fields(columns))
        statement = f"""
            UPDATE tasks AS t SET {setters}, updated_at = :now, version = t.version + 1
              FROM import_batch AS b JOIN import_matches AS m ON m.row_number = b.row_number
             WHERE t.id = m.task_id AND m.row_number = m.deciding_row
               AND m.fingerprint IS DISTINCT FROM m.fingerprint_before
        """  # noqa: S608 - put together from constants
        self._session.execute(text(statement), {"now": now})


def _insertion(task_import: TaskImport, last_number: int, now: datetime) -> dict[str, Any]:
    return {
        "project_id": task_import.project_id,
        "creator_id": task_import.creator_id,
        "last_number": last_number,
        "now": now,
    }


def _copy_line(row: ImportedRow, people: dict[str, Person]) -> str:
    """The columns of a row in COPY's text format, with the assignee's id in its place and the username at the end."""
    person = people[row.assignee] if row.assignee is not None else None
    values: list[Any] = [*row]
    values[_ASSIGNEE] = None if person is None else person.id
    values.append(None if person is None else person.username)
    return copy_line(values)
