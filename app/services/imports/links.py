"""How the parents that a file names become parents of tasks, after all of its rows have been read; see docs/adr/011.

The blocks are gone through again, once for each pass: one finds the parents, one judges them, and one sets them. A file
that is only checked ends before the last.
"""

from app.clock import Calendar
from app.csv_files.ahead import ReadAhead
from app.csv_files.cell_parts import MAX_SHOWN_LENGTH, shown
from app.csv_files.numbered import RowProblem
from app.csv_files.rows import ReadRow, RefusedRow, RowReader
from app.database.unit_of_work import UnitOfWork
from app.events import TasksImported
from app.models.imports.link import LinkProblem
from app.models.imports.task_import import DuplicatePolicy, ImportMode, ImportState, TaskImport
from app.models.tasks.fields import MAX_LEVELS
from app.repositories.imports.links import BadLink, ImportLinkRepository
from app.repositories.imports.queue import ALL_ROWS, ImportQueueRepository, RowRange
from app.services.imports.report import ImportReport

# The passes that do not write tasks: one finds the parents, and one judges them.
_PASSES_OF_CHECK = 2
# Each is about the parent as the row names it.
_REASONS = {
    LinkProblem.UNKNOWN: "{} is no task of the file or the project",
    LinkProblem.REFUSED: "the row of {} was refused",
    LinkProblem.AMBIGUOUS: "{} may mean several tasks",
    LinkProblem.ITSELF: "a task cannot be its own parent",
    LinkProblem.CIRCLE: "{} is below this task",
    LinkProblem.TOO_DEEP: f"below {{}} there would be more than {MAX_LEVELS} levels",
    LinkProblem.CHANGED: "{} can no longer be the parent, because tasks were changed meanwhile",
}
_REASONS_OF_INDENTED = {
    LinkProblem.UNKNOWN: "no row above is less indented",
    LinkProblem.REFUSED: "the row above that is less indented was refused",
    LinkProblem.ITSELF: "the row above that is less indented means the same task",
    LinkProblem.CIRCLE: "the row above that is less indented means a task below this one",
    LinkProblem.TOO_DEEP: f"there would be more than {MAX_LEVELS} levels",
    LinkProblem.CHANGED: "the parent is no longer possible, because tasks were changed meanwhile",
}


class ImportLinkService:
    """Each method runs inside the caller's transaction."""

    def __init__(
        self,
        uow: UnitOfWork,
        report: ImportReport,
        queue: ImportQueueRepository,
        links: ImportLinkRepository,
        calendar: Calendar,
    ) -> None:
        self._uow = uow
        self._report = report
        self._queue = queue
        self._links = links
        self._calendar = calendar

    def are_left(self, task_import: TaskImport, reader: RowReader) -> bool:
        return reader.parent_column is not None and task_import.next_link_step < _step_count(task_import)

    def take_step(self, task_import: TaskImport, reader: RowReader, ahead: ReadAhead) -> None:
        """Find, judge or set the parents of the next block. Raises what `ImportReport.refuse` raises."""
        number_of_pass, number = divmod(task_import.next_link_step, task_import.block_count)
        rows = self._queue.get_rows_of_block(task_import.id, number)
        bad: list[BadLink] = []
        match number_of_pass:
            case 0:
                is_whole = task_import.state is ImportState.LOADING and task_import.mode is ImportMode.ALL_OR_NOTHING
                if number == 0 and not is_whole:
                    self._links.prepare()
                if number == 0 and _may_have_parents(task_import):
                    if self._links.are_settled(task_import):
                        task_import.next_link_step = _step_count(task_import)
                        return
                    self._tell(task_import, self._links.take_back_doubted(task_import, now=self._calendar.now()))
                self._links.find_parents(task_import, rows)
            case 1:
                bad = self._judge(task_import, rows)
            case _:
                if number == 0 and task_import.on_duplicate is DuplicatePolicy.UPDATE:
                    self._move(task_import)
                if number == 0 and _may_have_parents(task_import):
                    self._tell(task_import, self._links.take_back_bad(task_import, now=self._calendar.now()))
                bad = self._link(task_import, rows)
        self._name(task_import, reader, ahead, number, bad)
        task_import.next_link_step += 1

    def _judge(self, task_import: TaskImport, rows: RowRange) -> list[BadLink]:
        changed = self._links.judge(task_import, rows)
        task_import.updated_count += changed
        task_import.skipped_count -= changed
        return self._links.list_bad(task_import, rows)

    def _move(self, task_import: TaskImport) -> None:
        """Move the tasks that have a parent, all at once: before the others have left, a new place may be too deep.

        The other tasks follow block by block, in any order. A tree that lacks some of its parents has no more levels
        than the whole.
        """
        self._tell(task_import, self._links.link(task_import, ALL_ROWS, only_moved=True, now=self._calendar.now()))

    def _link(self, task_import: TaskImport, rows: RowRange) -> list[BadLink]:
        """Set the parents, and return those that have become impossible since they were judged."""
        self._tell(task_import, self._links.link(task_import, rows, now=self._calendar.now()))
        bad = self._links.list_bad(task_import, rows, only_changed=True)
        # They were counted as changes when they were judged.
        unchanged = sum(not link.is_counted for link in bad)
        task_import.updated_count -= unchanged
        task_import.skipped_count += unchanged
        return bad

    def _tell(self, task_import: TaskImport, count: int) -> None:
        if count:
            self._uow.publish(TasksImported(task_import.id, count))

    def _name(
        self, task_import: TaskImport, reader: RowReader, ahead: ReadAhead, number: int, bad: list[BadLink]
    ) -> None:
        """Report the rows whose parents are not set. They are read again, because the report shows their cells."""
        if not bad:
            return
        if not ahead.is_at(number):
            ahead.begin(self._queue.get_block(task_import.id, number))
        links = {link.row_number: link for link in bad}
        is_imported = task_import.mode is ImportMode.SKIP_BAD
        rows = [
            RefusedRow(
                row.row.row_number,
                row.line_number,
                row.sheet_row,
                row.cells,
                (_problem_of(links[row.row.row_number], reader.parent_column, is_imported=is_imported),),
            )
            for row in ahead.rows()
            if isinstance(row, ReadRow) and row.row.row_number in links
        ]
        (self._report.name_problems if is_imported else self._report.refuse)(task_import, rows)


def _step_count(task_import: TaskImport) -> int:
    is_check = task_import.state is ImportState.CHECKING
    return (_PASSES_OF_CHECK if is_check else _PASSES_OF_CHECK + 1) * task_import.block_count


def _may_have_parents(task_import: TaskImport) -> bool:
    """True if tasks of the file may have been created with their parents."""
    return task_import.state is ImportState.LOADING and task_import.on_duplicate is DuplicatePolicy.CREATE


def _problem_of(link: BadLink, column: str | None, *, is_imported: bool) -> RowProblem:
    reasons = _REASONS | _REASONS_OF_INDENTED if link.is_indented else _REASONS
    reason = reasons[link.problem].format(shown(link.parent))
    if is_imported:
        reason += "; the task was imported without this parent"
    return RowProblem(column, link.parent[:MAX_SHOWN_LENGTH], reason)
