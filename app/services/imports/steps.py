"""The steps of an import in their order: first its blocks, then the parents that its rows name."""

from collections.abc import Sequence

from app.csv_files.ahead import ReadAhead, RowOfFile
from app.csv_files.comments import CommentReader
from app.csv_files.rows import RowReader
from app.database.unit_of_work import UnitOfWork
from app.models.imports.task_import import TaskImport
from app.repositories.imports.people import ImportPeopleRepository
from app.repositories.imports.queue import ImportQueueRepository
from app.services.imports.blocks import ImportBlockService
from app.services.imports.comments import ImportCommentService
from app.services.imports.links import ImportLinkService
from app.services.imports.report import ImportStoppedError
from app.services.imports.rights import objection_to


class ImportSteps:
    """Each method runs inside the caller's transaction."""

    def __init__(
        self,
        uow: UnitOfWork,
        queue: ImportQueueRepository,
        people: ImportPeopleRepository,
        blocks: ImportBlockService,
        links: ImportLinkService,
        comments: ImportCommentService,
    ) -> None:
        self._uow = uow
        self._queue = queue
        self._people = people
        self._blocks = blocks
        self._links = links
        self._comments = comments

    def objection_to(self, task_import: TaskImport) -> str | None:
        """The reason why the import's owner may no longer import; None if they may."""
        project_id = task_import.project_id
        return objection_to(self._people.get_importer(task_import.creator_id, project_id), project_id)

    def are_left(self, task_import: TaskImport, reader: RowReader | CommentReader) -> bool:
        if task_import.next_block < task_import.block_count:
            return True
        return isinstance(reader, RowReader) and self._links.are_left(task_import, reader)

    def take_next(self, task_import: TaskImport, ahead: ReadAhead) -> bool:
        """Import the next block, or check it, or go on with the parents. True if the project has new members.

        Its version does not show them yet. Raises ImportStoppedError when the owner may no longer import, or when a bad
        row turns up while an all-or-nothing file is loaded.
        """
        objection = self.objection_to(task_import)
        if objection is not None:
            raise ImportStoppedError(objection)
        self._uow.sign(task_import.creator_id, request_id=task_import.request_id)
        reader = ahead.reader
        if isinstance(reader, CommentReader):
            has_new_members = self._comments.take(task_import, reader, self._read_next(task_import, ahead))
        elif task_import.next_block >= task_import.block_count:
            self._links.take_step(task_import, reader, ahead)
            return False
        else:
            has_new_members = self._blocks.take(task_import, reader, self._read_next(task_import, ahead))
        task_import.next_block += 1
        return has_new_members

    def _read_next(self, task_import: TaskImport, ahead: ReadAhead) -> Sequence[RowOfFile]:
        """Read the next block, and begin to read the one after it."""
        number = task_import.next_block
        if not ahead.is_at(number):
            ahead.begin(self._queue.get_block(task_import.id, number))
        rows = ahead.rows()
        if number + 1 < task_import.block_count:
            ahead.begin(self._queue.get_block(task_import.id, number + 1))
        return rows
