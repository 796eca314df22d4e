"""How staged imports become tasks: the process that claims an import commits one step at a time.

A step is a block, or the load of a whole all-or-nothing file. When a worker dies, the next one repeats only the step
that was under way.
"""

import logging
from contextlib import suppress
from datetime import datetime, timedelta

from app.clock import Calendar
from app.csv_files.ahead import ReadAhead
from app.csv_files.columns import layout_of
from app.csv_files.comments import CommentReader, comment_layout
from app.csv_files.rows import RowReader
from app.csv_files.words import FileWords
from app.database.unit_of_work import UnitOfWork
from app.errors import UnavailableError
from app.events import ImportWaiting
from app.models.imports.task_import import DuplicatePolicy, ImportKind, ImportMode, ImportState, TaskImport
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.repositories.imports.imports import ImportRepository
from app.repositories.imports.queue import Claim, ImportQueueRepository
from app.repositories.projects import ProjectRepository
from app.services.imports.report import ImportStoppedError
from app.services.imports.steps import ImportSteps
from app.services.imports.uploads import UPLOAD_LEASE

logger = logging.getLogger(__name__)

# Longer than any block takes. After a worker has died, another one takes over when the lease and one sweep have passed.
# The load of a whole file may take longer, but it keeps the import's row locked.
LEASE = timedelta(seconds=10)
# One job works this long and then lets others have their turn, so jobs stay short.
SLICE = timedelta(seconds=10)
MAX_FAILED_ATTEMPTS = 5
# A database that restarts is back before the last try. If it stays away for longer, no worker can claim an import.
TAKE_BACK_TRIES = 10
TAKE_BACK_INTERVAL_SECONDS = 0.5
# The clocks of two hosts may differ by this much. A claim that ends even later was made before a clock was set back.
CLOCK_TOLERANCE = timedelta(seconds=5)


class ImportRunService:
    def __init__(
        self,
        uow: UnitOfWork,
        imports: ImportRepository,
        queue: ImportQueueRepository,
        projects: ProjectRepository,
        steps: ImportSteps,
        calendar: Calendar,
        max_cell_characters: int,
    ) -> None:
        self._uow = uow
        self._imports = imports
        self._queue = queue
        self._projects = projects
        self._steps = steps
        self._calendar = calendar
        self._max_cell_characters = max_cell_characters

    def run_waiting(self) -> None:
        """Delete uploads that were cut off, then work on waiting imports for a slice of time."""
        with self._uow.transaction():
            now = self._calendar.now()
            self._queue.discard_broken_uploads(now=now, latest_end=now + UPLOAD_LEASE + CLOCK_TOLERANCE)
        until = self._calendar.now() + SLICE
        while self._calendar.now() < until and (claim := self.claim()) is not None:
            self.work_on(claim, until=until)

    def claim(self, import_id: int | None = None) -> Claim | None:
        """Claim the waiting import with the fewest claims, or the given one. Return None if none waits."""
        with self._uow.transaction():
            self._queue.lock_claims()
            while (waiting := self._find_waiting(import_id)) is not None:
                reason = self._reason_to_give_up(waiting)
                if reason is None:
                    break
                self._fail(waiting, reason)
            if waiting is None:
                return None
            waiting.claim_number += 1
            waiting.claimed_until = self._calendar.now() + LEASE
            waiting.failed_attempts += 1
            self._imports.flush()
            return Claim(waiting.id, waiting.claim_number)

    def _find_waiting(self, import_id: int | None) -> TaskImport | None:
        now = self._calendar.now()
        return self._queue.find_waiting(now=now, latest_end=now + LEASE + CLOCK_TOLERANCE, import_id=import_id)

    def _reason_to_give_up(self, task_import: TaskImport) -> str | None:
        if task_import.failed_attempts >= MAX_FAILED_ATTEMPTS:
            return f"{MAX_FAILED_ATTEMPTS} attempts to go on from row {_reached(task_import) + 1} broke off"
        return self._steps.objection_to(task_import)

    def work_on(self, claim: Claim, *, until: datetime) -> None:
        """Work until the import is finished, the claim is lost or the time is over.

        When the time is over, the import waits for a worker again. Raises UnavailableError when the database cannot do
        a step now; such an attempt does not count.
        """
        try:
            self._take_steps(claim, until)
        except UnavailableError:
            self._take_back_attempt(claim)
            raise

    def _take_steps(self, claim: Claim, until: datetime) -> None:
        with self._uow.transaction():
            task_import = self._queue.hold(claim)
            if task_import is None:
                return
            reader = self._reader_of(task_import)
        with ReadAhead(reader) as ahead:
            while (task_import := self._step(claim, ahead, until)) is not None:
                if task_import.finished_at is not None or task_import.claimed_until is None:
                    return

    def _take_back_attempt(self, claim: Claim) -> None:
        """Subtract the attempt as soon as the database answers. The claim stays, so that nobody tries again at once."""
        for _ in range(TAKE_BACK_TRIES):
            with suppress(UnavailableError), self._uow.transaction():
                task_import = self._queue.hold(claim)
                if task_import is not None:
                    task_import.failed_attempts = max(0, task_import.failed_attempts - 1)
                    self._imports.flush()
                return
            self._calendar.clock.wait(TAKE_BACK_INTERVAL_SECONDS)

    def _step(self, claim: Claim, ahead: ReadAhead, until: datetime) -> TaskImport | None:
        """Take a block, or load a whole all-or-nothing file, in one transaction. Return None if the claim is lost."""
        try:
            with self._uow.transaction():
                task_import = self._queue.hold(claim)
                if task_import is None:
                    return None
                is_whole = task_import.state is ImportState.LOADING and task_import.mode is ImportMode.ALL_OR_NOTHING
                has_new_members = self._advance(task_import, ahead)
                while is_whole and task_import.finished_at is None:
                    has_new_members |= self._advance(task_import, ahead)
                if has_new_members:
                    self._projects.note_new_members(task_import.project_id, at=self._calendar.now())
                self._continue_or_pause(task_import, until)
                return task_import
        except ImportStoppedError as error:
            return self._fail_claimed(claim, str(error))

    def _fail_claimed(self, claim: Claim, reason: str) -> TaskImport | None:
        """Fail the import after its last step was rolled back."""
        with self._uow.transaction():
            task_import = self._queue.hold(claim)
            if task_import is not None:
                self._fail(task_import, reason)
            return task_import

    def _continue_or_pause(self, task_import: TaskImport, until: datetime) -> None:
        is_finished = task_import.finished_at is not None
        is_over = is_finished or self._calendar.now() >= until
        # If this worker dies at the next block, that counts as the first attempt at the block.
        task_import.failed_attempts = 0 if is_over else 1
        if not is_finished:
            self._queue.do_not_wait_for_disk()
            task_import.claimed_until = None if is_over else self._calendar.now() + LEASE
            if is_over:
                self._uow.publish(ImportWaiting(task_import.id))
        self._imports.flush()

    def _advance(self, task_import: TaskImport, ahead: ReadAhead) -> bool:
        """Take the next step, and decide or finish after the last one. True if the project has new members."""
        has_new_members = False
        if self._steps.are_left(task_import, ahead.reader):
            has_new_members = self._steps.take_next(task_import, ahead)
        if self._steps.are_left(task_import, ahead.reader):
            return has_new_members
        if task_import.state is ImportState.CHECKING and task_import.mode is ImportMode.ALL_OR_NOTHING:
            self._decide(task_import)
        else:
            self._finish(task_import, ImportState.FINISHED)
        return has_new_members

    def _decide(self, task_import: TaskImport) -> None:
        """Fail, finish or start to load an all-or-nothing file that was checked to its end."""
        if task_import.refused_count:
            rows = "1 row was" if task_import.refused_count == 1 else f"{task_import.refused_count} rows were"
            _start_over(task_import)
            self._fail(task_import, f"{rows} refused, so nothing was imported")
            return
        if task_import.is_dry_run:
            self._finish(task_import, ImportState.FINISHED)
            return
        # The numbers are taken before the load. Otherwise the load would keep the project's row locked until it ends.
        created = task_import.created_count
        task_import.last_task_number = self._projects.take_task_numbers(task_import.project_id, created)
        task_import.last_reserved_number = task_import.last_task_number + created
        self._queue.drop_checked(task_import.id)
        _start_over(task_import)
        task_import.state = ImportState.LOADING

    def _fail(self, task_import: TaskImport, reason: str) -> None:
        task_import.failure = reason
        self._finish(task_import, ImportState.FAILED)

    def _finish(self, task_import: TaskImport, state: ImportState) -> None:
        task_import.state = state
        task_import.finished_at = self._calendar.now()
        task_import.claimed_until = None
        self._queue.drop_staged(task_import.id)
        self._imports.flush()
        logger.info(
            "import %d of %s %s: %d rows read, %d created, %d updated, %d skipped, %d refused",
            task_import.id,
            task_import.kind.value,
            state.value,
            task_import.read_count,
            task_import.created_count,
            task_import.updated_count,
            task_import.skipped_count,
            task_import.refused_count,
            # This is the request that uploaded the file. Another request may have started the job.
            extra={"request_id": task_import.request_id},
        )

    def _reader_of(self, task_import: TaskImport) -> RowReader | CommentReader:
        if task_import.kind is ImportKind.COMMENTS:
            return CommentReader(
                comment_layout(task_import.header),
                task_import.delimiter,
                self._calendar.time_zone,
                cell_characters=self._max_cell_characters,
            )
        return RowReader(
            layout_of(task_import.header, task_import.column_map),
            task_import.delimiter,
            self._calendar.time_zone,
            date_format=task_import.dates_are,
            cell_characters=self._max_cell_characters,
            words=FileWords(
                {word: TaskStatus(status) for word, status in task_import.status_map.items()},
                {word: TaskPriority(priority) for word, priority in task_import.priority_map.items()},
                task_import.people_map,
            ),
            uploaded_on=task_import.created_at.astimezone(self._calendar.time_zone).date(),
            updates_tasks=task_import.on_duplicate is DuplicatePolicy.UPDATE,
        )


def _start_over(task_import: TaskImport) -> None:
    task_import.next_block = task_import.next_link_step = 0
    task_import.created_count = task_import.updated_count = task_import.skipped_count = 0


def _reached(task_import: TaskImport) -> int:
    return task_import.created_count + task_import.updated_count + task_import.skipped_count + task_import.refused_count
