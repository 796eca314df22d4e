"""How a status is read: from a word, or from several columns of another tracker."""

from app.csv_files.cell_parts import CellError, parts_of, shown
from app.csv_files.words import FileWords, key_of, status_from
from app.models.tasks.fields import ACTIVE_STATUSES, TaskStatus


class StatusReaders:
    """Each reads a stripped cell, or the joined cells of several columns, or raises CellError."""

    def __init__(self, words: FileWords) -> None:
        self._words = words

    def plain(self, cell: str) -> TaskStatus:
        if not cell:
            return TaskStatus.TODO
        status = self._called(cell)
        if status is None:
            raise CellError(f"{shown(cell)} is not a status; say one of {', '.join(TaskStatus)}")
        return status

    def _called(self, word: str) -> TaskStatus | None:
        return self._words.statuses.get(key_of(word)) or status_from(word)

    def of_jira(self, cells: str) -> TaskStatus:
        """Status and category. Every team of Jira names statuses of its own, and each has one of three categories."""
        status, category = parts_of(cells, 2)
        return self._called(status) or status_from(category) or self.plain(status)

    def of_trello(self, cells: str) -> TaskStatus:
        """List, `Due Complete` and `Archived`. A card that is put away has ended, but was not necessarily done."""
        list_name, is_complete, is_archived = parts_of(cells, 3)
        status = self._called(list_name)
        if status is not None and status not in ACTIVE_STATUSES:
            return status
        if _is_true(is_complete):
            return TaskStatus.DONE
        if _is_true(is_archived):
            return TaskStatus.CANCELLED
        return status or self.plain(list_name)

    def of_kanboard(self, cells: str) -> TaskStatus:
        """Status and column. The status says only whether the task is open, the column how far it is."""
        status, column = parts_of(cells, 2)
        of_column = self._called(column)
        if self.plain(status) is TaskStatus.DONE:
            return TaskStatus.DONE if of_column is None or of_column in ACTIVE_STATUSES else of_column
        return of_column or self.plain(status)


def _is_true(cell: str) -> bool:
    return cell.lower() in {"true", "1", "yes"}
