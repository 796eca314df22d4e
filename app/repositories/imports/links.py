"""The SQL of the parents that the rows of a file name: noting, finding, judging and setting them.

docs/adr/011 explains the rules. Every statement but one works on a block's rows, and looks up everything else by index.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.csv_files.rows import RowNames
from app.database.engine import violated_constraint
from app.models.imports.link import LinkProblem
from app.models.imports.task_import import DuplicatePolicy, TaskImport
from app.repositories.copy_text import copy_from, copy_line
from app.repositories.imports.link_statements import (
    ANALYZE,
    ARE_SETTLED,
    CHANGES,
    FILL_NAMES,
    FIND_PARENTS,
    FORGET_BAD,
    FORGET_DOUBTED,
    JUDGE,
    LINK,
    LOCK,
    MAKE_NAMES,
    MARK_CHANGED,
    MARK_VANISHED,
    MOVED_ONLY,
    NOTE_MATCHED,
    NOTE_NEW,
    NOTE_UNSAVED,
    PROBLEMS,
    TAKE_BACK_BAD,
    TAKE_BACK_DOUBTED,
    WISHES,
)
from app.repositories.imports.queue import ALL_ROWS, RowRange


@dataclass(frozen=True, slots=True)
class NamedRow:
    row_number: int
    is_good: bool
    names: RowNames


@dataclass(frozen=True, slots=True)
class BadLink:
    row_number: int
    parent: str
    # The row names its parent by its indentation.
    is_indented: bool
    problem: LinkProblem
    is_counted: bool


class ImportLinkRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def note_new(self, task_import: TaskImport, rows: Iterable[NamedRow]) -> None:
        """Write down the names and the parents of a block whose good rows all make tasks, and choose their ids.

        Call it before the tasks are created.
        """
        self._fill(rows)
        self._session.execute(NOTE_NEW, {"import_id": task_import.id})

    def note(
        self, task_import: TaskImport, rows: Iterable[NamedRow], *, has_batch: bool, last_number: int | None
    ) -> None:
        """Write down the names and the parents of a block's rows, with the tasks that they mean.

        Call it after the batch has been matched and its tasks have been created, with the number that
        `create_unmatched` got, or None if no task was created. A block without good rows has no batch.
        """
        self._fill(rows)
        is_matched = task_import.on_duplicate is not DuplicatePolicy.CREATE
        statement = NOTE_MATCHED if has_batch and is_matched else NOTE_UNSAVED
        values = {
            "import_id": task_import.id,
            "project_id": task_import.project_id,
            "last_number": last_number,
            "is_update": task_import.on_duplicate is DuplicatePolicy.UPDATE,
        }
        self._session.execute(statement, values)

    def _fill(self, rows: Iterable[NamedRow]) -> None:
        self._session.execute(MAKE_NAMES)
        self._session.execute(text("TRUNCATE import_names"))
        copy_from(self._session, FILL_NAMES, (copy_line((row.row_number, row.is_good, *row.names)) for row in rows))

    def choose_parents(self, task_import: TaskImport, rows: RowRange) -> None:
        """Choose the parents that the rows noted so far and the tasks of the project allow.

        Later rows can give the names another meaning, and can move a tree further down: see `are_settled`.
        """
        self._execute(FIND_PARENTS, task_import, rows)
        self._execute(JUDGE, task_import, rows)
        self._execute(FORGET_BAD, task_import, rows)

    def are_settled(self, task_import: TaskImport) -> bool:
        """True if all tasks of the file were created with the parents that `find_parents` and `judge` would choose.

        All blocks must have been noted.
        """
        settled: bool = self._execute(ARE_SETTLED, task_import, ALL_ROWS).scalar_one()
        return settled

    def take_back_doubted(self, task_import: TaskImport, *, now: datetime) -> int:
        """Take the parents back whose names later rows have too. Return how many tasks have changed."""
        taken: int = self._execute(TAKE_BACK_DOUBTED, task_import, ALL_ROWS, now=now).rowcount
        self._execute(FORGET_DOUBTED, task_import, ALL_ROWS)
        return taken

    def take_back_bad(self, task_import: TaskImport, *, now: datetime) -> int:
        """Take the parents back that were judged to be bad, because of rows that came later."""
        taken: int = self._execute(TAKE_BACK_BAD, task_import, ALL_ROWS, now=now).rowcount
        return taken

    def prepare(self) -> None:
        """Call it once all rows have been noted, in a short transaction: another import waits until it ends."""
        self._session.execute(ANALYZE)

    def find_parents(self, task_import: TaskImport, rows: RowRange) -> None:
        """Find the task that each row names as its parent. All blocks must have been noted."""
        self._execute(FIND_PARENTS, task_import, rows)

    def judge(self, task_import: TaskImport, rows: RowRange) -> int:
        """Note which parents cannot be set, and count the rows that change their task by its parent alone.

        The parents of all rows must have been found, and none been set.
        """
        self._execute(JUDGE, task_import, rows)
        changed: int = self._execute(CHANGES, task_import, rows).scalar_one()
        return changed

    def list_bad(self, task_import: TaskImport, rows: RowRange, *, only_changed: bool = False) -> list[BadLink]:
        result = self._execute(PROBLEMS, task_import, rows, only_changed=only_changed)
        return [
            BadLink(number, parent, is_indented, LinkProblem(problem), is_counted)
            for number, parent, is_indented, problem, is_counted in result
        ]

    def link(self, task_import: TaskImport, rows: RowRange, *, only_moved: bool = False, now: datetime) -> int:
        """Set the parents that were judged to be good, and return their number. Locks the tasks.

        `only_moved` leaves out tasks that have no parent yet. A parent that has become impossible since it was judged
        is noted as changed.
        """
        chosen = MOVED_ONLY if only_moved else ""
        self._execute(text(LOCK.format(chosen=chosen)), task_import, rows)
        self._execute(text(MARK_VANISHED.format(chosen=chosen)), task_import, rows)
        statement = text(LINK.format(chosen=chosen))
        try:
            return self._link(statement, task_import, rows, now)
        except IntegrityError as error:
            ensure_about_tree(error)
        numbers = self._execute(text(WISHES.format(chosen=chosen)), task_import, rows).scalars().all()
        return sum(self._link_one(statement, task_import, number, now) for number in numbers)

    def _link_one(self, statement: TextClause, task_import: TaskImport, row_number: int, now: datetime) -> int:
        rows = RowRange(row_number, row_number)
        try:
            return self._link(statement, task_import, rows, now)
        except IntegrityError as error:
            ensure_about_tree(error)
            self._execute(MARK_CHANGED, task_import, rows)
            return 0

    def _link(self, statement: TextClause, task_import: TaskImport, rows: RowRange, now: datetime) -> int:
        with self._session.begin_nested():
            linked: int = self._execute(statement, task_import, rows, now=now).rowcount
            return linked

    def _execute(self, statement: TextClause, task_import: TaskImport, rows: RowRange, **more: Any) -> Any:
        values = {
            "import_id": task_import.id,
            "project_id": task_import.project_id,
            "first": rows.first,
            "last": rows.last,
            **more,
        }
        names = set(statement.compile().params)
        return self._session.execute(statement, {name: values[name] for name in names})


def ensure_about_tree(error: IntegrityError) -> None:
    if not (violated_constraint(error) or "").startswith("ck_tasks_tree_"):
        raise error
