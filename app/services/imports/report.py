"""What the report on a file says: its refused rows, and the rows that were imported with something left out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.csv_files.problems import with_refused
from app.csv_files.rows import RefusedRow
from app.models.imports.task_import import ImportMode, ImportState, TaskImport
from app.repositories.imports.imports import ImportRepository

MAX_STORED_ERRORS = 10_000


class ImportStoppedError(Exception):
    """Fails the import and rolls back this step. The message is the reason that the report shows."""


class ImportReport:
    """Each method runs inside the caller's transaction."""

    def __init__(self, imports: ImportRepository) -> None:
        self._imports = imports

    def refuse(self, task_import: TaskImport, rows: Sequence[RefusedRow]) -> None:
        """Raises ImportStoppedError if a bad row turns up while an all-or-nothing file is loaded."""
        self.name_problems(task_import, rows)
        task_import.refused_count += len(rows)

    def name_problems(self, task_import: TaskImport, rows: Sequence[RefusedRow]) -> None:
        """Report the problems of rows without counting them as refused. Raises what `refuse` raises."""
        if not rows:
            return
        if task_import.state is ImportState.LOADING and task_import.mode is ImportMode.ALL_OR_NOTHING:
            first = rows[0]
            raise ImportStoppedError(f"line {first.line_number}: {first.problems[0].reason}; nothing was imported")
        room = MAX_STORED_ERRORS - task_import.error_count
        self._imports.add_refused(task_import.id, _up_to(room, rows))
        task_import.error_count += sum(len(row.problems) for row in rows)
        task_import.problem_groups = with_refused(task_import.problem_groups, rows)


def _up_to(room: int, rows: Sequence[RefusedRow]) -> Iterator[RefusedRow]:
    """The rows whose problems fit into `room`; the last row may lose some of its problems."""
    for row in rows:
        if room <= 0:
            return
        yield replace(row, problems=row.problems[:room])
        room -= len(row.problems)
