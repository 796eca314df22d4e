"""How a CSV comes in and is followed: staged while it is uploaded, worked on at once if it is small, reported on."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.database.unit_of_work import UnitOfWork
from app.errors import ConflictError, IdempotencyKeyReusedError, ImportUnderWayError, InvalidError, UnavailableError
from app.events import ImportWaiting
from app.models.project import DEFAULT_PROJECT_KEY
from app.models.task_import import DuplicatePolicy, ImportBlock, ImportMode, ImportState, TaskImport
from app.repositories.import_queue import ImportQueueRepository
from app.repositories.imports import ImportRepository, ReportedRow
from app.repositories.pages import Page
from app.repositories.projects import ProjectRepository
from app.services.clock import Clock
from app.services.csv_files import BLOCK_ROWS, Block, ByteStream, CsvFile, Encoding
from app.services.csv_writing import Lines, report_header, report_rows
from app.services.import_runs import ImportRunService
from app.services.lookups import not_found
from app.settings import CsvLimits

MAX_FILENAME_LENGTH = 255
MAX_WAIT_SECONDS = 30
# How long the request of a small file waits for it where the client says nothing of waiting.
SMALL_FILE_WAIT_SECONDS = 5
POLL_SECONDS = 0.1
# An upload that sends no block for so long is given up.
UPLOAD_LEASE = timedelta(minutes=5)
REPORT_PAGE_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How a file is to be read and what is to become of it. None is found out from the file."""

    project: str = DEFAULT_PROJECT_KEY
    is_dry_run: bool = False
    mode: ImportMode = ImportMode.SKIP_BAD
    on_duplicate: DuplicatePolicy = DuplicatePolicy.CREATE
    creates_users: bool = True
    encoding: Encoding | None = None
    delimiter: str | None = None
    is_day_first: bool = False


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    import_id: int
    is_finished: bool
    created_count: int
    refused_count: int
    body: bytes


class ImportService:
    def __init__(
        self,
        uow: UnitOfWork,
        imports: ImportRepository,
        queue: ImportQueueRepository,
        projects: ProjectRepository,
        runs: ImportRunService,
        clock: Clock,
        limits: CsvLimits,
    ) -> None:
        self._uow = uow
        self._imports = imports
        self._queue = queue
        self._projects = projects
        self._runs = runs
        self._now = clock
        self._limits = limits

    def import_csv(
        self,
        actor: Actor,
        stream: ByteStream,
        *,
        filename: str,
        options: ImportOptions | None = None,
        idempotency_key: str | None = None,
        wait_seconds: int | None = None,
    ) -> ImportOutcome:
        """Good rows become tasks, bad ones a report; by workers, but for what can be done while the caller waits.

        Raises UnreadableCsvError or TooLargeError, and then nothing is left of the file. The same file again, with the
        same `idempotency_key` or while the first is still at work, is the first.
        """
        ensure_may(actor, Permission.IMPORT_CREATE)
        options = options or ImportOptions()
        import_id = self._receive(actor, stream, filename, options, idempotency_key)
        # It is staged: a database that goes away now takes nothing with it.
        with suppress(UnavailableError):
            self._work_on(import_id, wait_seconds)
        with self._uow.transaction():
            task_import = self._imports.get(import_id) or not_found("import", import_id)
            return ImportOutcome(
                import_id=import_id,
                is_finished=task_import.finished_at is not None,
                created_count=task_import.created_count,
                refused_count=task_import.refused_count,
                body=self._json(actor, import_id),
            )

    def get(self, actor: Actor, import_id: int) -> bytes:
        with self._uow.transaction():
            return self._json(actor, import_id)

    def list_page(self, actor: Actor, *, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            return self._imports.list_page(actor, cursor=cursor, limit=limit)

    def list_errors(self, actor: Actor, import_id: int, *, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            self._json(actor, import_id)
            return self._imports.list_errors(import_id, cursor=cursor, limit=limit)

    def write_errors(self, actor: Actor, import_id: int) -> Iterator[Lines]:
        """The refused rows as CSV, each as it came with what is wrong with it: to be mended and sent again."""
        with self._uow.transaction():
            self._json(actor, import_id)
            task_import = self._imports.get(import_id) or not_found("import", import_id)
            header = task_import.header
        return self._report(import_id, header)

    def _report(self, import_id: int, header: list[str]) -> Iterator[Lines]:
        yield report_header(header)
        rows: list[ReportedRow] = []
        while True:
            with self._uow.transaction():
                after_row = rows[-1].row_number if rows else 0
                rows = [*self._imports.list_reported_rows(import_id, after_row=after_row, limit=REPORT_PAGE_ROWS)]
            if not rows:
                return
            yield report_rows(header, rows)

    def _receive(
        self, actor: Actor, stream: ByteStream, filename: str, options: ImportOptions, idempotency_key: str | None
    ) -> int:
        """Stage the file, a transaction a block: a slow upload holds no connection. Return the import's id."""
        began_at = self._now()
        file = CsvFile(stream, self._limits, encoding=options.encoding, delimiter=options.delimiter)
        task_import = self._begin(actor, file, filename, options, idempotency_key)
        if task_import is None:
            return self._find_repeated(actor, file, options, idempotency_key or "")
        import_id = task_import.id
        content = _content_hash(file, options)
        try:
            for number, block in enumerate(file.blocks()):
                body = block.text.encode()
                content.update(body)
                self._stage(import_id, number, block, body)
            return self._end_upload(import_id, content.digest(), began_at)
        except BaseException:
            with suppress(UnavailableError), self._uow.transaction():
                self._queue.discard(import_id)
            raise

    def _stage(self, import_id: int, number: int, block: Block, body: bytes) -> None:
        with self._uow.transaction():
            task_import = self._get_upload(import_id)
            self._queue.add_block(
                ImportBlock(
                    import_id=import_id,
                    number=number,
                    first_row=block.first_row,
                    first_line=block.first_line,
                    body=body,
                )
            )
            task_import.claimed_until = self._now() + UPLOAD_LEASE
            task_import.block_count = number + 1
            task_import.read_count = block.first_row + block.row_count - 1
            self._imports.flush()

    def _get_upload(self, import_id: int) -> TaskImport:
        """Raises ConflictError when the sweep has cleared it away."""
        task_import = self._queue.get_for_update(import_id)
        if task_import is None:
            raise ConflictError("the upload stood still for too long and was given up; send it again")
        return task_import

    def _begin(
        self, actor: Actor, file: CsvFile, filename: str, options: ImportOptions, idempotency_key: str | None
    ) -> TaskImport | None:
        """None when the creator used the key before."""
        try:
            with self._uow.transaction():
                project = self._projects.get(actor, options.project)
                if project is None:
                    raise InvalidError.of("project", f"there is no project {options.project}")
                task_import = TaskImport(
                    creator_id=actor.user_id,
                    project_id=project.id,
                    filename=_printable(filename),
                    is_dry_run=options.is_dry_run,
                    mode=options.mode,
                    on_duplicate=options.on_duplicate,
                    creates_users=options.creates_users,
                    is_day_first=options.is_day_first,
                    delimiter=file.delimiter,
                    header=file.header,
                    ignored_columns=[*file.layout.ignored],
                    state=ImportState.STAGING,
                    created_at=self._now(),
                    claimed_until=self._now() + UPLOAD_LEASE,
                    idempotency_key=idempotency_key,
                    request_id=self._uow.request_id,
                    read_count=0,
                    block_count=0,
                )
                self._imports.add(task_import)
                return task_import
        except ImportUnderWayError:
            return None

    def _end_upload(self, import_id: int, content_hash: bytes, began_at: datetime) -> int:
        """The import waits for a worker from here on; or it is gone, and another one is the same."""
        with self._uow.transaction():
            task_import = self._get_upload(import_id)
            self._queue.lock_twins(content_hash)
            twin_id = self._queue.find_twin(task_import, content_hash, since=began_at)
            if twin_id is not None and task_import.idempotency_key is None:
                self._queue.discard(import_id)
                return twin_id
            is_checked_first = task_import.is_dry_run or task_import.mode is ImportMode.ALL_OR_NOTHING
            task_import.state = ImportState.CHECKING if is_checked_first else ImportState.LOADING
            task_import.content_hash = content_hash
            task_import.claimed_until = None
            self._imports.flush()
            self._uow.publish(ImportWaiting(import_id))
            return import_id

    def _find_repeated(self, actor: Actor, file: CsvFile, options: ImportOptions, idempotency_key: str) -> int:
        """The import that the key stands for. Raises IdempotencyKeyReusedError when that was another file."""
        content = _content_hash(file, options)
        for block in file.blocks():
            content.update(block.text.encode())
        for _ in range(int(MAX_WAIT_SECONDS / POLL_SECONDS)):
            with self._uow.transaction():
                first = self._imports.find_by_key(actor.user_id, idempotency_key)
            if first is None or first.content_hash is not None:
                break
            time.sleep(POLL_SECONDS)
        if first is None or first.content_hash is None:
            raise ImportUnderWayError("the first upload with this Idempotency-Key has not come in; try again")
        if first.content_hash != content.digest():
            raise IdempotencyKeyReusedError("the Idempotency-Key was used before, for another file or other options")
        return first.id

    def _work_on(self, import_id: int, wait_seconds: int | None) -> None:
        """While the caller waits; if another is at it, until that one has finished."""
        with self._uow.transaction():
            task_import = self._imports.get(import_id)
        if wait_seconds is None:
            is_small = task_import is not None and task_import.read_count <= BLOCK_ROWS
            wait_seconds = SMALL_FILE_WAIT_SECONDS if is_small else 0
        until = self._now() + timedelta(seconds=wait_seconds)
        for _ in range(int(wait_seconds / POLL_SECONDS)):
            claim = self._runs.claim(import_id)
            if claim is not None:
                self._runs.work_on(claim, until=until)
            with self._uow.transaction():
                task_import = self._imports.get(import_id)
            if task_import is None or task_import.finished_at is not None or self._now() >= until:
                return
            time.sleep(POLL_SECONDS)

    def _json(self, actor: Actor, import_id: int) -> bytes:
        return (self._imports.get_json(actor, import_id) or not_found("import", import_id)).encode()


def _content_hash(file: CsvFile, options: ImportOptions) -> blake2b:
    """Of what decides about the outcome; the file's own bytes are added as they come."""
    return blake2b(repr((options, file.delimiter, file.header)).encode(), digest_size=32)


def _printable(filename: str) -> str:
    return "".join(character for character in filename if character.isprintable())[:MAX_FILENAME_LENGTH] or "upload.csv"
