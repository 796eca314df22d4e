"""How a block of a staged file becomes tasks, or is only checked."""

from collections.abc import Iterator, Sequence

from app.clock import Calendar
from app.csv_files.ahead import RowOfFile
from app.csv_files.numbered import RowProblem
from app.csv_files.rows import ReadRow, RefusedRow, RowReader
from app.database.unit_of_work import UnitOfWork
from app.events import TasksImported
from app.models.imports.task_import import DuplicatePolicy, ImportState, TaskImport
from app.models.tasks.recurrence import NEEDS_DEADLINE
from app.repositories.imports.batches import BatchOutcome, ImportBatchRepository, Person
from app.repositories.imports.links import ImportLinkRepository, NamedRow
from app.repositories.imports.queue import RowRange
from app.repositories.projects import ProjectRepository
from app.services.imports.people import ImportPeople, stranger_problem
from app.services.imports.report import ImportReport


class ImportBlockService:
    """Each method runs inside the caller's transaction."""

    def __init__(
        self,
        uow: UnitOfWork,
        report: ImportReport,
        batches: ImportBatchRepository,
        links: ImportLinkRepository,
        people: ImportPeople,
        projects: ProjectRepository,
        calendar: Calendar,
    ) -> None:
        self._uow = uow
        self._report = report
        self._batches = batches
        self._links = links
        self._people = people
        self._projects = projects
        self._calendar = calendar

    def take(self, task_import: TaskImport, reader: RowReader, rows: Sequence[RowOfFile]) -> bool:
        """Import the rows of a block, or check them. True if the project has new members.

        Its version does not show them yet. Raises what `ImportReport.refuse` raises.
        """
        good = [row for row in rows if isinstance(row, ReadRow)]
        refused = [row for row in rows if isinstance(row, RefusedRow)]
        task_import.skipped_count += len(rows) - len(good) - len(refused)
        names = dict.fromkeys(row.row.assignee for row in good if row.row.assignee is not None)
        people, has_new_members = self._people.find(task_import, names)
        strangers = {name for name, person in people.items() if not person.may_be_assigned}
        refused += _refuse_strangers(task_import, good, people, reader.column_of("assignee"))
        good = [row for row in good if row.row.assignee not in strangers]
        outcome = BatchOutcome(len(good), 0)
        is_matched = task_import.on_duplicate is not DuplicatePolicy.CREATE
        if good and (is_matched or task_import.state is ImportState.LOADING):
            self._batches.fill((row.row for row in good), people)
        if good and is_matched:
            outcome, undue = self._match(task_import, reader)
            refused += (_refuse_undue(row, reader) for row in good if row.row.row_number in undue)
            good = [row for row in good if row.row.row_number not in undue]
        self._report.refuse(task_import, sorted(refused, key=lambda row: row.row_number))
        task_import.created_count += outcome.created
        task_import.updated_count += outcome.updated
        task_import.skipped_count += len(good) - outcome.created - outcome.updated
        named = [NamedRow(row.row.row_number, True, row.names) for row in good if row.names is not None]
        named += [NamedRow(row.row_number, False, row.names) for row in refused if row.names is not None]
        noted = self._note_new(task_import, named)
        last_number = None
        if task_import.state is ImportState.LOADING:
            last_number = self._write(task_import, reader, outcome, noted)
        if named and noted is None:
            self._links.note(task_import, named, has_batch=bool(good), last_number=last_number)
        return has_new_members

    def _match(self, task_import: TaskImport, reader: RowReader) -> tuple[BatchOutcome, set[int]]:
        """Find the tasks of the batch. Return what it does, and the numbers of rows that were taken out of it.

        Those would leave a task with a recurrence rule and no deadline.
        """
        zone = self._calendar.time_zone
        is_check = task_import.state is ImportState.CHECKING
        outcome = self._batches.match(task_import, reader.fields, zone)
        undue: set[int] = set()
        # If the file has both columns, its reader has refused such rows.
        is_update = task_import.on_duplicate is DuplicatePolicy.UPDATE
        if is_update and len(reader.fields & {"due_at", "recurrence"}) == 1:
            if not is_check:
                self._batches.lock_matched()
            undue = self._batches.take_out_undue(reader.fields)
            if undue:
                outcome = self._batches.match(task_import, reader.fields, zone)
        if is_check:
            self._batches.draft(task_import, zone, now=self._calendar.now())
        return outcome, undue

    def _note_new(self, task_import: TaskImport, named: Sequence[NamedRow]) -> RowRange | None:
        """Find the parents of tasks before they are created, if each row will create one. Return the rows.

        Return None if the file has no column for parents, or if its rows may mean tasks that exist.
        """
        is_load = task_import.state is ImportState.LOADING
        if not named or not is_load or task_import.on_duplicate is not DuplicatePolicy.CREATE:
            return None
        numbers = [row.row_number for row in named]
        rows = RowRange(min(numbers), max(numbers))
        self._links.note_new(task_import, named)
        self._links.choose_parents(task_import, rows)
        return rows

    def _write(
        self, task_import: TaskImport, reader: RowReader, outcome: BatchOutcome, noted: RowRange | None
    ) -> int | None:
        """Create and update tasks. Return the number before that of the first new task, or None if there is none."""
        if outcome.updated:
            self._batches.lock_matched()
        last_number = self._create(task_import, outcome.created, noted) if outcome.created else None
        # Where several rows mean one new task, the first creates it and the last updates it.
        if outcome.updated:
            self._batches.update_matched(reader.fields, now=self._calendar.now())
        if outcome.created or outcome.updated:
            self._uow.publish(TasksImported(task_import.id, outcome.created + outcome.updated))
        return last_number

    def _create(self, task_import: TaskImport, count: int, noted: RowRange | None) -> int:
        last_number = self._numbers_for(task_import, count)
        now = self._calendar.now()
        if noted is not None:
            self._batches.create_noted(task_import, noted, last_number=last_number, now=now)
        elif task_import.on_duplicate is DuplicatePolicy.CREATE:
            self._batches.create_all(task_import, last_number=last_number, now=now)
        else:
            self._batches.create_unmatched(task_import, last_number=last_number, now=now)
        return last_number

    def _numbers_for(self, task_import: TaskImport, count: int) -> int:
        """Take numbers for `count` tasks, and return the number before the first of them."""
        last, reserved = task_import.last_task_number, task_import.last_reserved_number
        if last is None or reserved is None or last + count > reserved:
            # No numbers were reserved, or too few: tasks that the check had found as duplicates were deleted since.
            return self._projects.take_task_numbers(task_import.project_id, count)
        task_import.last_task_number = last + count
        return last


def _refuse_strangers(
    task_import: TaskImport, rows: Sequence[ReadRow], people: dict[str, Person], column: str
) -> Iterator[RefusedRow]:
    """Refuse the rows whose assignee may not be assigned."""
    for row in rows:
        person = None if row.row.assignee is None else people[row.row.assignee]
        if person is None or person.may_be_assigned:
            continue
        yield _refused(row, stranger_problem(task_import, row.row.assignee, person, column))


def _refuse_undue(row: ReadRow, reader: RowReader) -> RefusedRow:
    """Refuse a row whose task would have a recurrence rule and no deadline, in a file with a column for one of them."""
    if "recurrence" in reader.fields:
        return _refused(row, RowProblem(reader.column_of("recurrence"), row.row.recurrence, NEEDS_DEADLINE))
    return _refused(row, RowProblem(reader.column_of("due_at"), "", "is empty, and the task recurs from its deadline"))


def _refused(row: ReadRow, problem: RowProblem) -> RefusedRow:
    return RefusedRow(row.row.row_number, row.line_number, row.sheet_row, row.cells, (problem,), row.names)
