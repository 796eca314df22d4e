"""How a block of a staged file becomes tasks, or is only checked."""

from collections.abc import Iterator, Sequence

from app.clock import Calendar
from app.csv_files.rows import AnyRow, ReadRow, RefusedRow, RowProblem, RowReader
from app.database.unit_of_work import UnitOfWork
from app.events import TasksImported
from app.models.imports.task_import import DuplicatePolicy, ImportState, TaskImport
from app.models.people.user import MAX_USERNAME_LENGTH
from app.repositories.imports.batches import ImportBatchRepository, Person
from app.repositories.imports.links import ImportLinkRepository, NamedRow
from app.repositories.imports.people import ImportPeopleRepository
from app.repositories.projects import ProjectRepository
from app.services.imports.report import ImportReport


class ImportBlockService:
    """Each method runs inside the caller's transaction."""

    def __init__(
        self,
        uow: UnitOfWork,
        report: ImportReport,
        batches: ImportBatchRepository,
        links: ImportLinkRepository,
        people: ImportPeopleRepository,
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

    def take(self, task_import: TaskImport, reader: RowReader, rows: Sequence[AnyRow]) -> bool:
        """Import the rows of a block, or check them. True if the project has new members.

        Its version does not show them yet. Raises what `ImportReport.refuse` raises.
        """
        good = [row for row in rows if isinstance(row, ReadRow)]
        refused = [row for row in rows if isinstance(row, RefusedRow)]
        task_import.skipped_count += len(rows) - len(good) - len(refused)
        people, has_new_members = self._people_of(task_import, good)
        strangers = [
            row for row in good if row.row.assignee is not None and not people[row.row.assignee].may_be_assigned
        ]
        if strangers:
            refused.extend(_refuse_strangers(task_import, strangers, people, reader.assignee_column))
            refused.sort(key=lambda row: row.row_number)
            good = [row for row in good if row.row.assignee is None or people[row.row.assignee].may_be_assigned]
        self._report.refuse(task_import, refused)
        last_number = self._apply(task_import, reader, good, people)
        if reader.parent_column is not None:
            named = [NamedRow(row.row.row_number, True, row.names) for row in good if row.names is not None]
            named += [NamedRow(row.row_number, False, row.names) for row in refused if row.names is not None]
            self._links.note(task_import, named, has_batch=bool(good), last_number=last_number)
        return has_new_members

    def _people_of(self, task_import: TaskImport, rows: Sequence[ReadRow]) -> tuple[dict[str, Person], bool]:
        """Find the person of each assignee cell, and tell whether one of them has joined the project.

        An import that creates users adds unknown names while it loads.
        """
        names = dict.fromkeys(row.row.assignee for row in rows if row.row.assignee is not None)
        if not names:
            return {}, False
        if task_import.state is ImportState.LOADING:
            self._people.lock_unclaimed(names)
        people = self._people.find(task_import.project_id, names)
        unknown = [name for name in names if name not in people]
        look_alikes: set[str] = set()
        # An address may be longer than a username. Such an address, which nobody has, becomes no user.
        short = dict.fromkeys(name for name in unknown if len(name) <= MAX_USERNAME_LENGTH)
        new = short if task_import.creates_users else {}
        if new:
            if task_import.state is ImportState.LOADING:
                self._people.add(new)
                self._people.lock_unclaimed(new)
                people |= self._people.find(task_import.project_id, new)
                look_alikes = {name for name in new if name not in people}
            else:
                look_alikes = self._people.find_look_alikes(new)
        is_loading = task_import.state is ImportState.LOADING
        has_new_members = is_loading and self._projects.add_unclaimed_members(task_import.project_id, names)
        for name in unknown:
            is_like = name in look_alikes
            may_be_assigned = name in new and not is_like
            people.setdefault(
                name, Person(None, name.lower(), may_be_assigned=may_be_assigned, looks_like_another=is_like)
            )
        return people, has_new_members

    def _apply(
        self, task_import: TaskImport, reader: RowReader, good: Sequence[ReadRow], people: dict[str, Person]
    ) -> int | None:
        """Create and update tasks from the good rows, or only count what would be created and updated.

        Return the number before that of the first new task, or None if there is none.
        """
        is_check = task_import.state is ImportState.CHECKING
        created, updated = len(good), 0
        is_matched = task_import.on_duplicate is not DuplicatePolicy.CREATE
        if good and (is_matched or not is_check):
            self._batches.fill((row.row for row in good), people)
        if good and is_matched:
            outcome = self._batches.match(task_import, reader.fields, self._calendar.time_zone)
            created, updated = outcome.created, outcome.updated
            if is_check:
                self._batches.draft(task_import, self._calendar.time_zone, now=self._calendar.now())
        task_import.created_count += created
        task_import.updated_count += updated
        task_import.skipped_count += len(good) - created - updated
        if is_check:
            return None
        if updated:
            self._batches.lock_matched()
        last_number = None
        if created:
            last_number = self._numbers_for(task_import, created)
            create = self._batches.create_unmatched if is_matched else self._batches.create_all
            create(task_import, last_number=last_number, now=self._calendar.now())
        # Where several rows mean one new task, the first creates it and the last updates it.
        if updated:
            self._batches.update_matched(reader.fields, now=self._calendar.now())
        if created or updated:
            self._uow.publish(TasksImported(task_import.id, created + updated))
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
    for row in rows:
        person = people[row.row.assignee]
        is_known = task_import.creates_users and person.id is not None
        reason = "is not in the project" if is_known else "is nobody in the project"
        if person.looks_like_another:
            reason = "looks like the name of somebody else"
        problem = RowProblem(column, row.row.assignee, reason)
        yield RefusedRow(row.row.row_number, row.line_number, row.sheet_row, row.cells, (problem,), row.names)
