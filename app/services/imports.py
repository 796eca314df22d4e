"""How an uploaded CSV becomes tasks: staged row by row with the reason for each refused one, then loaded set-based."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO
from zoneinfo import ZoneInfo

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.database import UnitOfWork
from app.errors import InvalidError, UnavailableError
from app.events import TasksImported
from app.models.project import DEFAULT_PROJECT_KEY
from app.models.task_import import ImportState, TaskImport
from app.repositories.import_rows import ImportRowRepository, RowProblem, StagedRow
from app.repositories.imports import ImportRepository
from app.repositories.pages import Page
from app.repositories.projects import ProjectRepository
from app.services.clock import Clock
from app.services.csv_reading import read_rows
from app.services.lookups import not_found

CHUNK_ROWS = 5_000
MAX_KEPT_PROBLEMS = 10_000
MAX_FILENAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    import_id: int
    created_count: int
    refused_count: int
    body: bytes


class ImportService:
    def __init__(
        self,
        uow: UnitOfWork,
        imports: ImportRepository,
        rows: ImportRowRepository,
        projects: ProjectRepository,
        clock: Clock,
        time_zone: ZoneInfo,
    ) -> None:
        self._uow = uow
        self._imports = imports
        self._rows = rows
        self._projects = projects
        self._now = clock
        self._time_zone = time_zone

    def import_csv(
        self,
        actor: Actor,
        stream: BinaryIO,
        *,
        filename: str,
        project_key: str = DEFAULT_PROJECT_KEY,
        is_dry_run: bool = False,
    ) -> ImportOutcome:
        """Good rows become tasks, bad ones a report. Raises UnreadableCsvError, and then nothing is left of the file.

        Three transactions, so that nobody waits for a long file: the rows are staged; the tasks' numbers are taken,
        which locks the project for that moment only; the tasks are made, all of them or none.
        """
        ensure_may(actor, Permission.IMPORT_CREATE)
        with self._uow.transaction():
            task_import = self._stage(actor, stream, filename, project_key, is_dry_run=is_dry_run)
            staged_count = self._rows.count_staged(task_import.id)
            if is_dry_run or not staged_count:
                return self._finish(actor, task_import)
        try:
            with self._uow.transaction():
                last_number = self._projects.take_task_numbers(task_import.project_id, staged_count)
            with self._uow.transaction():
                self._load(task_import, last_number)
                return self._finish(actor, task_import)
        except Exception as error:
            self._give_up(task_import, error)
            raise

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

    def _stage(
        self, actor: Actor, stream: BinaryIO, filename: str, project_key: str, *, is_dry_run: bool
    ) -> TaskImport:
        """Read the file: good rows to staging, what is wrong with the others to the report."""
        project = self._projects.get(actor, project_key)
        if project is None:
            raise InvalidError.of("project", f"there is no project {project_key}")
        task_import = TaskImport(
            creator_id=actor.user_id,
            project_id=project.id,
            filename=_printable(filename),
            is_dry_run=is_dry_run,
            state=ImportState.STAGING,
        )
        self._imports.add(task_import)
        problems: list[RowProblem] = []

        def good_rows() -> Iterator[StagedRow]:
            for row in read_rows(stream, time_zone=self._time_zone):
                task_import.read_count += 1
                if row.staged is not None:
                    yield row.staged
                    continue
                task_import.refused_count += 1
                if len(problems) < MAX_KEPT_PROBLEMS:
                    problems.extend(row.problems)

        task_import.read_count = task_import.refused_count = task_import.created_count = 0
        self._rows.stage(task_import.id, good_rows())
        self._rows.add_problems(task_import.id, problems)
        task_import.refused_count += self._rows.refuse_strangers(task_import)
        task_import.state = ImportState.LOADING
        return task_import

    def _load(self, task_import: TaskImport, last_number: int) -> None:
        """A chunk at a time, so that no statement grows with the file; they appear together, with the commit."""
        while (chunk := self._rows.find_chunk(task_import.id, size=CHUNK_ROWS)) is not None:
            up_to, count = chunk
            task_import.created_count += self._rows.load_chunk(
                task_import, up_to=up_to, last_number=last_number, now=self._now()
            )
            last_number += count

    def _finish(self, actor: Actor, task_import: TaskImport) -> ImportOutcome:
        self._rows.drop_staged(task_import.id)
        task_import.state = ImportState.FINISHED
        task_import.finished_at = self._now()
        self._imports.flush()
        self._uow.publish(TasksImported(task_import.id, task_import.created_count))
        return self._outcome(actor, task_import)

    def _give_up(self, task_import: TaskImport, error: Exception) -> None:
        """Say what became of an import that was staged and could not be loaded; the caller raises the error itself."""
        with suppress(UnavailableError), self._uow.transaction():
            self._rows.drop_staged(task_import.id)
            self._imports.fail(task_import.id, str(error) or type(error).__name__, at=self._now())

    def _outcome(self, actor: Actor, task_import: TaskImport) -> ImportOutcome:
        return ImportOutcome(
            import_id=task_import.id,
            created_count=task_import.created_count,
            refused_count=task_import.refused_count,
            body=self._json(actor, task_import.id),
        )

    def _json(self, actor: Actor, import_id: int) -> bytes:
        return (self._imports.get_json(actor, import_id) or not_found("import", import_id)).encode()


def _printable(filename: str) -> str:
    return "".join(character for character in filename if character.isprintable())[:MAX_FILENAME_LENGTH] or "upload.csv"
