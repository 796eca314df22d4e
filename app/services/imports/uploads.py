"""How a CSV is received: checked, cut into blocks and staged while it comes in."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from app.auth.actor import Actor
from app.auth.tokens import TokenInvalidError
from app.clock import Clock
from app.csv_files.blocks import Block, CsvFile
from app.csv_files.columns import layout_of
from app.csv_files.comments import comment_layout
from app.csv_files.encodings import ByteStream, DecodedText
from app.database.unit_of_work import UnitOfWork
from app.errors import (
    ConflictError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    ImportUnderWayError,
    InvalidError,
    ProjectArchivedError,
    SessionEndedError,
    UnavailableError,
)
from app.events import ImportWaiting
from app.models.imports.mapping import MAP_NAMES
from app.models.imports.task_import import DateFormat, ImportBlock, ImportKind, ImportMode, ImportState, TaskImport
from app.models.projects.project import Project
from app.repositories.imports.imports import ImportRepository
from app.repositories.imports.people import ImportPeopleRepository
from app.repositories.imports.queue import ImportQueueRepository
from app.repositories.projects import ProjectRepository
from app.services.imports.options import ImportOptions, content_hash_of
from app.services.imports.rights import objection_to
from app.settings import CsvLimits

MAX_FILENAME_LENGTH = 255
# An upload that shows no sign of life for this long is deleted.
UPLOAD_LEASE = timedelta(minutes=5)
# While bytes come in, the upload shows a sign of life this often.
SIGN_OF_LIFE_INTERVAL = timedelta(seconds=2)
# An upload that has been silent for this long is replaced by another one with its Idempotency-Key.
MAX_SILENCE = timedelta(seconds=10)


class ImportUploadService:
    def __init__(
        self,
        uow: UnitOfWork,
        imports: ImportRepository,
        queue: ImportQueueRepository,
        people: ImportPeopleRepository,
        projects: ProjectRepository,
        clock: Clock,
        limits: CsvLimits,
    ) -> None:
        self._uow = uow
        self._imports = imports
        self._queue = queue
        self._people = people
        self._projects = projects
        self._now = clock
        self._limits = limits

    def receive(
        self, actor: Actor, stream: ByteStream, *, filename: str, options: ImportOptions, idempotency_key: str | None
    ) -> int:
        """Stage the file with one transaction for each block, so a slow upload holds no connection. Returns the id.

        Deletes what was staged if it raises UnreadableCsvError, TooLargeError or what `_hold` raises. Raises
        ImportUnderWayError while another upload with the same key is coming in, and IdempotencyKeyReusedError if the
        key belongs to another file.
        """
        began_at = self._now()
        first = None if idempotency_key is None else self._find_first(actor, idempotency_key)
        watched_stream = _WatchedStream(stream)
        kept_maps = self._kept_maps(actor, options) if first is None else {}
        file = CsvFile(
            watched_stream,
            self._limits,
            encoding=options.encoding,
            delimiter=options.delimiter,
            column_map=options.column_map if first is None else first.column_map,
            kept_column_map=kept_maps.get("column_map"),
            find_layout=comment_layout if options.kind is ImportKind.COMMENTS else layout_of,
        )
        if first is not None:
            return _ensure_same(first, file, options)
        maps = {**({} if file.is_ours else kept_maps), **options.maps}
        task_import = self._begin(actor, file, filename, options, maps, idempotency_key)
        import_id = task_import.id
        content = content_hash_of(options, file.delimiter, file.header)
        try:
            watched_stream.after_each_piece = self._signs_of_life(actor, import_id)
            for number, block in enumerate(file.blocks()):
                body = block.text.encode()
                content.update(body)
                self._stage(actor, import_id, number, block, body)
            return self._end(actor, import_id, file.text, options, content.digest(), began_at)
        except BaseException:
            self._discard(import_id)
            raise

    def _find_first(self, actor: Actor, idempotency_key: str) -> TaskImport | None:
        """Find the import that has the key. An upload with the key that was cut off is deleted."""
        with self._uow.transaction():
            first = self._imports.find_by_key_for_update(actor.user_id, idempotency_key)
            if first is None or first.state is not ImportState.STAGING:
                return first
            seconds_left = self._seconds_of_grace(first)
            if seconds_left > 0:
                raise ImportUnderWayError(
                    "the first upload with this Idempotency-Key is still coming in; try again",
                    retry_after_seconds=seconds_left,
                )
            self._queue.discard(first.id)
            return None

    def _seconds_of_grace(self, upload: TaskImport) -> int:
        """How many seconds the upload still counts as alive.

        A sign of life that is further in the future than MAX_SILENCE does not count, because the clock was set back.
        """
        if upload.claimed_until is None:
            return 0
        silence = self._now() - (upload.claimed_until - UPLOAD_LEASE)
        return max(0, int((MAX_SILENCE - silence).total_seconds()) + 1) if abs(silence) <= MAX_SILENCE else 0

    def _kept_maps(self, actor: Actor, options: ImportOptions) -> Mapping[str, Mapping[str, Any]]:
        """The maps that the project has kept for files of tasks."""
        if options.kind is not ImportKind.TASKS:
            return {}
        with self._uow.transaction():
            mapping = self._imports.get_mapping(self._get_project(actor, options.project).id)
        return {} if mapping is None else mapping.maps

    def _get_project(self, actor: Actor, key: str) -> Project:
        project = self._projects.get(actor, key)
        if project is None:
            raise InvalidError.of("project", f"there is no project {key}")
        project.ensure_open()
        return project

    def _begin(
        self,
        actor: Actor,
        file: CsvFile,
        filename: str,
        options: ImportOptions,
        maps: Mapping[str, Mapping[str, Any]],
        idempotency_key: str | None,
    ) -> TaskImport:
        with self._uow.transaction():
            project = self._get_project(actor, options.project)
            task_import = TaskImport(
                creator_id=actor.user_id,
                project_id=project.id,
                kind=options.kind,
                filename=_printable(filename),
                is_dry_run=options.is_dry_run,
                mode=options.mode,
                on_duplicate=options.on_duplicate,
                creates_users=options.creates_users,
                is_day_first=options.date_format is DateFormat.DAY_FIRST,
                date_format=options.date_format,
                **{name: maps.get(name, {}) for name in MAP_NAMES},
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

    def _signs_of_life(self, actor: Actor, import_id: int) -> Callable[[], None]:
        """Return a function that shows signs of life at intervals, and raises what `_hold` raises."""
        shown_at = self._now()

        def show_sign_of_life() -> None:
            nonlocal shown_at
            if self._now() - shown_at >= SIGN_OF_LIFE_INTERVAL:
                with self._uow.transaction():
                    self._hold(actor, import_id).claimed_until = self._now() + UPLOAD_LEASE
                    self._imports.flush()
                shown_at = self._now()

        return show_sign_of_life

    def _stage(self, actor: Actor, import_id: int, number: int, block: Block, body: bytes) -> None:
        with self._uow.transaction():
            task_import = self._hold(actor, import_id)
            self._queue.add_block(
                ImportBlock(
                    import_id=import_id,
                    number=number,
                    first_row=block.first_row,
                    first_line=block.first_line,
                    first_sheet_row=block.first_sheet_row,
                    body=body,
                )
            )
            task_import.claimed_until = self._now() + UPLOAD_LEASE
            task_import.block_count = number + 1
            task_import.read_count = block.first_row + block.row_count - 1
            self._imports.flush()

    def _hold(self, actor: Actor, import_id: int) -> TaskImport:
        """Lock the upload's row.

        Raises ConflictError when the upload was given up, by the sweep or for another upload with its key. Raises
        SessionEndedError, TokenInvalidError or ForbiddenError when its owner may no longer import, and
        ProjectArchivedError when nobody may.
        """
        task_import = self._queue.get_for_update(import_id)
        if task_import is None:
            raise ConflictError("the upload stood still for too long and was given up; send it again")
        session_id, token_id = actor.session_id, actor.token_id
        if session_id is not None and not self._people.is_logged_in(actor.user_id, session_id, at=self._now()):
            raise SessionEndedError("the session has ended; log in again")
        if token_id is not None and not self._people.holds_token(actor.user_id, token_id, at=self._now()):
            raise TokenInvalidError("the token is invalid")
        project_id = task_import.project_id
        importer = self._people.get_importer(actor.user_id, project_id)
        objection = objection_to(importer, project_id)
        if objection is not None:
            raise (ProjectArchivedError if importer.is_project_archived else ForbiddenError)(objection)
        return task_import

    def _end(
        self,
        actor: Actor,
        import_id: int,
        file_text: DecodedText,
        options: ImportOptions,
        content_hash: bytes,
        began_at: datetime,
    ) -> int:
        """Hand the import to a worker, or discard it if it has a twin. Return the id of the import that stays."""
        with self._uow.transaction():
            task_import = self._hold(actor, import_id)
            self._queue.lock_twins(content_hash)
            twin_id = self._queue.find_twin(task_import, content_hash, since=began_at)
            if twin_id is not None and task_import.idempotency_key is None:
                self._queue.discard(import_id)
                return twin_id
            is_checked_first = task_import.is_dry_run or task_import.mode is ImportMode.ALL_OR_NOTHING
            task_import.state = ImportState.CHECKING if is_checked_first else ImportState.LOADING
            task_import.codec, task_import.has_bom = file_text.codec, file_text.has_bom
            task_import.content_hash = content_hash
            task_import.claimed_until = None
            self._imports.flush()
            lasting_maps = {name: words for name, words in options.maps.items() if words}
            if lasting_maps and not options.is_dry_run:
                self._imports.keep_mapping(task_import.project_id, lasting_maps, at=self._now())
            self._uow.publish(ImportWaiting(import_id))
            return import_id

    def _discard(self, import_id: int) -> None:
        with suppress(UnavailableError), self._uow.transaction():
            self._queue.discard(import_id)


class _WatchedStream:
    """A stream that calls a function after each piece it reads."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.after_each_piece: Callable[[], None] | None = None

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(size)
        if self.after_each_piece is not None:
            self.after_each_piece()
        return piece


def _ensure_same(first: TaskImport, file: CsvFile, options: ImportOptions) -> int:
    """Return the id of the first import. Raises IdempotencyKeyReusedError if it had another file or other options."""
    content = content_hash_of(options, file.delimiter, file.header)
    for block in file.blocks():
        content.update(block.text.encode())
    if first.content_hash != content.digest():
        raise IdempotencyKeyReusedError("the Idempotency-Key was used before, for another file or other options")
    return first.id


def _printable(filename: str) -> str:
    return "".join(character for character in filename if character.isprintable())[:MAX_FILENAME_LENGTH] or "upload.csv"
