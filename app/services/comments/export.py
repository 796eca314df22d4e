"""How comments are exported as CSV: page by page, in constant memory."""

from collections.abc import Collection, Iterator

from app.auth.actor import Actor
from app.csv_files.writing import Lines, value_header, value_rows
from app.database.unit_of_work import UnitOfWork
from app.repositories.comments.export import EXPORTED_COMMENT, CommentExportRepository

# A body has up to 20,000 characters.
PAGE_ROWS = 500


class CommentExportService:
    def __init__(self, uow: UnitOfWork, comments: CommentExportRepository) -> None:
        self._uow = uow
        self._comments = comments

    def write(self, actor: Actor, *, projects: Collection[str] = ()) -> Iterator[Lines]:
        """Write all comments that the actor sees, in these projects or in all.

        Comments that are written or deleted meanwhile may or may not be included. Each page has its own transaction, so
        a slow reader holds no connection.
        """
        yield value_header(tuple(EXPORTED_COMMENT))
        after_id = 0
        while True:
            with self._uow.transaction():
                page, after_id = self._comments.list_page(actor, projects=projects, after_id=after_id, limit=PAGE_ROWS)
            if page:
                yield value_rows(page)
            if len(page) < PAGE_ROWS:
                return
