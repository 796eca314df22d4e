"""How staged imports become tasks: a block at a time, each with its commit, by whoever claims the import.

A worker that dies loses the block that it was at; the next one does that again from the start, and no other.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from app.database.unit_of_work import UnitOfWork
from app.events import ImportWaiting, TasksImported
from app.models.task_import import DuplicatePolicy, ImportMode, ImportState, TaskImport
from app.repositories.import_batches import ImportBatchRepository, Person
from app.repositories.import_people import ImportPeopleRepository
from app.repositories.import_queue import Claim, ImportQueueRepository
from app.repositories.imports import ImportRepository, RefusedRow, RowProblem
from app.repositories.projects import ProjectRepository
from app.services.clock import Clock
from app.services.csv_columns import layout_of
from app.services.csv_rows import ReadAhead, ReadRow, RowReader

logger = logging.getLogger(__name__)

# Longer than any block takes; with the sweep's interval it says how soon another worker takes over from a dead one.
LEASE = timedelta(seconds=10)
# How long one job works before it lets others have their turn: jobs are to be short.
SLICE = timedelta(seconds=10)
MAX_FAILED_ATTEMPTS = 5
MAX_KEPT_ERRORS = 10_000


class ImportRunService:
    def __init__(
        self,
        uow: UnitOfWork,
        imports: ImportRepository,
        queue: ImportQueueRepository,
        batches: ImportBatchRepository,
        people: ImportPeopleRepository,
        projects: ProjectRepository,
        clock: Clock,
        time_zone: ZoneInfo,
        max_cell_characters: int,
    ) -> None:
        self._uow = uow
        self._imports = imports
        self._queue = queue
        self._batches = batches
        self._people = people
        self._projects = projects
        self._now = clock
        self._time_zone = time_zone
        self._max_cell_characters = max_cell_characters

    def run_waiting(self) -> None:
        """Work on the imports that wait, for a slice of time; clear away uploads that were broken off."""
        with self._uow.transaction():
            self._queue.discard_broken_uploads(now=self._now())
        until = self._now() + SLICE
        while self._now() < until and (claim := self.claim()) is not None:
            self.work_on(claim, until=until)

    def claim(self, import_id: int | None = None) -> Claim | None:
        """The import that has waited longest, or that one, if nobody works on it."""
        with self._uow.transaction():
            self._queue.lock_claims()
            while (waiting := self._queue.find_waiting(now=self._now(), import_id=import_id)) is not None:
                if waiting.failed_attempts < MAX_FAILED_ATTEMPTS:
                    break
                self._fail(
                    waiting, f"{MAX_FAILED_ATTEMPTS} attempts to go on from row {_reached(waiting) + 1} broke off"
                )
            if waiting is None:
                return None
            waiting.claim_number += 1
            waiting.claimed_until = self._now() + LEASE
            waiting.failed_attempts += 1
            self._imports.flush()
            return Claim(waiting.id, waiting.claim_number)

    def work_on(self, claim: Claim, *, until: datetime) -> None:
        """Until the import is finished, somebody else's, or the time is over; then it waits for the next worker."""
        with self._uow.transaction():
            task_import = self._queue.hold(claim)
            if task_import is None:
                return
            reader = self._reader_of(task_import)
        with ReadAhead(reader) as ahead:
            while (task_import := self._step(claim, ahead, until)) is not None:
                if task_import.finished_at is not None or task_import.claimed_until is None:
                    return

    def _step(self, claim: Claim, ahead: ReadAhead, until: datetime) -> TaskImport | None:
        """One transaction: a block, or the whole of a file that is to be loaded whole. None when the claim is lost."""
        try:
            with self._uow.transaction():
                task_import = self._queue.hold(claim)
                if task_import is None:
                    return None
                is_whole = task_import.state is ImportState.LOADING and task_import.mode is ImportMode.ALL_OR_NOTHING
                self._advance(task_import, ahead)
                while is_whole and task_import.finished_at is None:
                    self._advance(task_import, ahead)
                self._go_on_or_rest(task_import, until)
                return task_import
        except _RowsRefusedError as error:
            return self._fail_whole(claim, f"{error}; nothing was imported")

    def _fail_whole(self, claim: Claim, reason: str) -> TaskImport | None:
        """Everything that was loaded is rolled back already."""
        with self._uow.transaction():
            task_import = self._queue.hold(claim)
            if task_import is not None:
                self._fail(task_import, reason)
            return task_import

    def _go_on_or_rest(self, task_import: TaskImport, until: datetime) -> None:
        task_import.failed_attempts = 0
        if task_import.finished_at is None:
            self._queue.do_not_wait_for_disk()
            is_over = self._now() >= until
            task_import.claimed_until = None if is_over else self._now() + LEASE
            if is_over:
                self._uow.publish(ImportWaiting(task_import.id))
        self._imports.flush()

    def _advance(self, task_import: TaskImport, ahead: ReadAhead) -> None:
        if task_import.next_block < task_import.block_count:
            self._take_block(task_import, ahead)
            task_import.next_block += 1
        if task_import.next_block < task_import.block_count:
            return
        if task_import.state is ImportState.CHECKING and task_import.mode is ImportMode.ALL_OR_NOTHING:
            self._decide(task_import)
        else:
            self._finish(task_import, ImportState.FINISHED)

    def _decide(self, task_import: TaskImport) -> None:
        """All of a file that is to be loaded whole was checked."""
        if task_import.refused_count:
            rows = "1 row was" if task_import.refused_count == 1 else f"{task_import.refused_count} rows were"
            _start_over(task_import)
            self._fail(task_import, f"{rows} refused, so nothing was imported")
            return
        if task_import.is_dry_run:
            self._finish(task_import, ImportState.FINISHED)
            return
        # Taken now, since whoever holds the project's row while all rows are loaded makes everybody wait.
        created = task_import.created_count
        task_import.last_task_number = self._projects.take_task_numbers(task_import.project_id, created)
        task_import.last_reserved_number = task_import.last_task_number + created
        self._queue.drop_drafts(task_import.id)
        _start_over(task_import)
        task_import.state = ImportState.LOADING

    def _take_block(self, task_import: TaskImport, ahead: ReadAhead) -> None:
        self._uow.sign(task_import.creator_id, request_id=task_import.request_id)
        number = task_import.next_block
        if not ahead.is_at(number):
            ahead.begin(self._queue.get_block(task_import.id, number))
        rows = ahead.rows()
        if number + 1 < task_import.block_count:
            ahead.begin(self._queue.get_block(task_import.id, number + 1))
        good = [row for row in rows if isinstance(row, ReadRow)]
        refused = [row for row in rows if isinstance(row, RefusedRow)]
        people = self._people_of(task_import, good)
        strangers = [
            row for row in good if row.row.assignee is not None and not people[row.row.assignee].may_be_assigned
        ]
        if strangers:
            refused.extend(_refuse_strangers(task_import, strangers, ahead.reader.assignee_column))
            refused.sort(key=lambda row: row.row_number)
            good = [row for row in good if row.row.assignee is None or people[row.row.assignee].may_be_assigned]
        self._refuse(task_import, refused)
        self._apply(task_import, ahead.reader, good, people)

    def _people_of(self, task_import: TaskImport, rows: Sequence[ReadRow]) -> dict[str, Person]:
        """Whom the rows' assignees mean. Unknown ones become users if the import says so and is not only a check."""
        names = dict.fromkeys(row.row.assignee for row in rows if row.row.assignee is not None)
        if not names:
            return {}
        people = self._people.find(task_import.project_id, names)
        unknown = [name for name in names if name not in people]
        if task_import.state is ImportState.LOADING:
            if unknown and task_import.creates_users:
                self._people.add(unknown)
                people |= self._people.find(task_import.project_id, unknown)
            self._people.add_unclaimed_members(task_import.project_id, names)
        for name in unknown:
            people.setdefault(name, Person(None, name.lower(), may_be_assigned=task_import.creates_users))
        return people

    def _refuse(self, task_import: TaskImport, refused: Sequence[RefusedRow]) -> None:
        if not refused:
            return
        if task_import.state is ImportState.LOADING and task_import.mode is ImportMode.ALL_OR_NOTHING:
            first = refused[0]
            raise _RowsRefusedError(f"line {first.line_number}: {first.problems[0].reason}")
        room = MAX_KEPT_ERRORS - task_import.error_count
        self._imports.add_refused(task_import.id, _up_to(room, refused))
        task_import.refused_count += len(refused)
        task_import.error_count += sum(len(row.problems) for row in refused)

    def _apply(
        self, task_import: TaskImport, reader: RowReader, good: Sequence[ReadRow], people: dict[str, Person]
    ) -> None:
        """Make tasks of the good rows, or count what would be made of them."""
        is_check = task_import.state is ImportState.CHECKING
        created, updated = len(good), 0
        is_matched = task_import.on_duplicate is not DuplicatePolicy.CREATE
        if good and (is_matched or not is_check):
            self._batches.fill((row.row for row in good), people)
        if good and is_matched:
            outcome = self._batches.match(task_import, reader.fields, self._time_zone)
            created, updated = outcome.created, outcome.updated
            if is_check:
                self._batches.draft(task_import, self._time_zone, now=self._now())
        task_import.created_count += created
        task_import.updated_count += updated
        task_import.skipped_count += len(good) - created - updated
        if is_check:
            return
        if created:
            last_number = self._numbers_for(task_import, created)
            create = self._batches.create_unmatched if is_matched else self._batches.create_all
            create(task_import, last_number=last_number, now=self._now())
        # Rows of one new task are created by the first and updated by the last.
        if updated:
            self._batches.update_matched(reader.fields, now=self._now())
        if created or updated:
            self._uow.publish(TasksImported(task_import.id, created + updated))

    def _numbers_for(self, task_import: TaskImport, count: int) -> int:
        """The last number before those of the next `count` tasks."""
        last, reserved = task_import.last_task_number, task_import.last_reserved_number
        if last is None or reserved is None or last + count > reserved:
            # Nothing was reserved, or what was a duplicate when the file was checked has gone since.
            return self._projects.take_task_numbers(task_import.project_id, count)
        task_import.last_task_number = last + count
        return last

    def _fail(self, task_import: TaskImport, reason: str) -> None:
        task_import.failure = reason
        self._finish(task_import, ImportState.FAILED)

    def _finish(self, task_import: TaskImport, state: ImportState) -> None:
        task_import.state = state
        task_import.finished_at = self._now()
        task_import.claimed_until = None
        self._queue.drop_staged(task_import.id)
        self._imports.flush()
        logger.info(
            "import %d %s: %d rows read, %d tasks created, %d updated, %d rows skipped, %d refused",
            task_import.id,
            state.value,
            task_import.read_count,
            task_import.created_count,
            task_import.updated_count,
            task_import.skipped_count,
            task_import.refused_count,
            # Of its upload; the job that finishes it may have been rung for by another.
            extra={"request_id": task_import.request_id},
        )

    def _reader_of(self, task_import: TaskImport) -> RowReader:
        return RowReader(
            layout_of(task_import.header),
            task_import.delimiter,
            self._time_zone,
            is_day_first=task_import.is_day_first,
            cell_characters=self._max_cell_characters,
        )


class _RowsRefusedError(Exception):
    """A row that was good when it was checked is not when it is loaded."""


def _refuse_strangers(task_import: TaskImport, rows: Sequence[ReadRow], column: str) -> Iterator[RefusedRow]:
    for row in rows:
        reason = "is not in the project" if task_import.creates_users else "is nobody in the project"
        yield RefusedRow(
            row.row.row_number, row.line_number, row.cells, (RowProblem(column, row.row.assignee, reason),)
        )


def _up_to(room: int, refused: Sequence[RefusedRow]) -> Iterator[RefusedRow]:
    """As many as there is room for, counted in problems."""
    for row in refused:
        if room <= 0:
            return
        yield replace(row, problems=row.problems[:room])
        room -= len(row.problems)


def _start_over(task_import: TaskImport) -> None:
    task_import.next_block = 0
    task_import.created_count = task_import.updated_count = task_import.skipped_count = 0


def _reached(task_import: TaskImport) -> int:
    return task_import.created_count + task_import.updated_count + task_import.skipped_count + task_import.refused_count
