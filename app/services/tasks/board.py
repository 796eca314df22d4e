"""How the board is read: the first tasks of each column, from the cache where possible."""

from collections.abc import Sequence
from dataclasses import replace

import orjson

from app.auth.actor import Actor
from app.auth.permissions import scope_of
from app.cache import CacheView, Space
from app.clock import Calendar
from app.database.unit_of_work import UnitOfWork
from app.models.tasks.fields import TaskStatus
from app.queries.pages import Page
from app.queries.tasks import BoardColumn, TaskQuery
from app.repositories.tasks.board import SORT, BoardRepository
from app.services.tasks.read import PAGE_TTL_SECONDS, resolved


class BoardService:
    def __init__(self, uow: UnitOfWork, board: BoardRepository, cache: CacheView, calendar: Calendar) -> None:
        self._uow = uow
        self._board = board
        self._cache = cache
        self._calendar = calendar

    def open(self, actor: Actor, query: TaskQuery) -> tuple[Sequence[BoardColumn], bool]:
        """The columns of the board in the order of the statuses, and whether they came from the cache.

        `query.limit` is the number of tasks that each column shows, and `query.statuses` are its columns.
        """
        query = resolved(actor, replace(query, sort=(SORT,)), self._calendar)
        cached = self._cache.remember(
            (Space.TASKS,),
            f"board|{scope_of(actor)}|{query!r}",
            lambda: _to_bytes(self._load(actor, query)),
            ttl_seconds=PAGE_TTL_SECONDS,
        )
        return _from_bytes(cached.value), cached.was_cached

    def _load(self, actor: Actor, query: TaskQuery) -> Sequence[BoardColumn]:
        with self._uow.single_statements():
            return self._board.list_columns(actor, query, now=self._calendar.now())


def _to_bytes(columns: Sequence[BoardColumn]) -> bytes:
    """The columns as the cache stores them: their statuses and lengths, and then each page."""
    pages = [column.page.to_bytes() for column in columns]
    head = [(column.status, len(page)) for column, page in zip(columns, pages, strict=True)]
    return b"\n".join([orjson.dumps(head), b"".join(pages)])


def _from_bytes(stored: bytes) -> Sequence[BoardColumn]:
    head, pages = stored.split(b"\n", 1)
    columns, start = [], 0
    for status, length in orjson.loads(head):
        columns.append(BoardColumn(TaskStatus(status), Page.from_bytes(pages[start : start + length])))
        start += length
    return columns
