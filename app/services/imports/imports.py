"""How a CSV file is imported: it is received, loaded at once if it is small, and reported on."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Clock
from app.csv_files.blocks import BLOCK_ROWS
from app.csv_files.encodings import ByteStream
from app.csv_files.writing import FileForm, Lines, ReportedRow, report_header, report_rows
from app.database.unit_of_work import UnitOfWork
from app.errors import UnavailableError, not_found
from app.queries.pages import JsonRow, Page
from app.repositories.imports.imports import ImportRepository
from app.services.imports.options import ImportOptions
from app.services.imports.runs import ImportRunService
from app.services.imports.uploads import ImportUploadService

__all__ = ["ImportOptions", "ImportOutcome", "ImportService"]

MAX_WAIT_SECONDS = 30
# How long the request for a small file waits for its import when the client names no time.
SMALL_FILE_WAIT_SECONDS = 5
POLL_SECONDS = 0.1
# A page of the report is short, because each of its rows may be as long as a row of the file.
REPORT_PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    import_id: int
    is_finished: bool
    created_count: int
    skipped_count: int
    refused_count: int
    row: JsonRow


class ImportService:
    def __init__(
        self,
        uow: UnitOfWork,
        imports: ImportRepository,
        uploads: ImportUploadService,
        runs: ImportRunService,
        clock: Clock,
    ) -> None:
        self._uow = uow
        self._imports = imports
        self._uploads = uploads
        self._runs = runs
        self._clock = clock

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
        """Turn good rows into tasks and report bad ones. What is not done while the caller waits is left to workers.

        A file that is sent again returns the first import if it has the same `idempotency_key`, or if the first import
        is still under way. Raises what `ImportUploadService.receive` raises.
        """
        ensure_may(actor, Permission.IMPORT_CREATE)
        import_id = self._uploads.receive(
            actor, stream, filename=filename, options=options or ImportOptions(), idempotency_key=idempotency_key
        )
        # The file is staged, so nothing is lost if the database goes away now.
        with suppress(UnavailableError):
            self._work_on(import_id, wait_seconds)
        with self._uow.transaction():
            task_import = self._imports.get(import_id) or not_found("import", import_id)
            return ImportOutcome(
                import_id=import_id,
                is_finished=task_import.finished_at is not None,
                created_count=task_import.created_count,
                skipped_count=task_import.skipped_count,
                refused_count=task_import.refused_count,
                row=self._row(actor, import_id),
            )

    def get(self, actor: Actor, import_id: int) -> JsonRow:
        with self._uow.transaction():
            return self._row(actor, import_id)

    def list_page(self, actor: Actor, *, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            return self._imports.list_page(actor, cursor=cursor, limit=limit)

    def list_errors(self, actor: Actor, import_id: int, *, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            self._row(actor, import_id)
            return self._imports.list_errors(import_id, cursor=cursor, limit=limit)

    def write_errors(self, actor: Actor, import_id: int) -> tuple[Iterator[Lines], str]:
        """The refused rows as CSV, each with its problems, to be corrected and sent again; and the encoding.

        The file is written as the upload was: with its delimiter, its encoding and its byte order mark.
        """
        with self._uow.transaction():
            self._row(actor, import_id)
            task_import = self._imports.get(import_id) or not_found("import", import_id)
            header = task_import.header
            form = FileForm(task_import.delimiter, task_import.codec, task_import.has_bom)
        return self._report(import_id, header, form), form.codec

    def _report(self, import_id: int, header: list[str], form: FileForm) -> Iterator[Lines]:
        yield report_header(header, form)
        rows: list[ReportedRow] = []
        while True:
            with self._uow.transaction():
                after_row = rows[-1].row_number if rows else 0
                rows = [*self._imports.list_reported_rows(import_id, after_row=after_row, limit=REPORT_PAGE_ROWS)]
            if not rows:
                return
            yield report_rows(header, rows, form)

    def _work_on(self, import_id: int, wait_seconds: int | None) -> None:
        """Work on the import while the caller waits. If another process works on it, wait for that process."""
        with self._uow.transaction():
            task_import = self._imports.get(import_id)
        if wait_seconds is None:
            is_small = task_import is not None and task_import.read_count <= BLOCK_ROWS
            wait_seconds = SMALL_FILE_WAIT_SECONDS if is_small else 0
        until = self._clock() + timedelta(seconds=wait_seconds)
        for _ in range(int(wait_seconds / POLL_SECONDS)):
            claim = self._runs.claim(import_id)
            if claim is not None:
                self._runs.work_on(claim, until=until)
            with self._uow.transaction():
                task_import = self._imports.get(import_id)
            if task_import is None or task_import.finished_at is not None or self._clock() >= until:
                return
            self._clock.wait(POLL_SECONDS)

    def _row(self, actor: Actor, import_id: int) -> JsonRow:
        return self._imports.get_row(actor, import_id) or not_found("import", import_id)
