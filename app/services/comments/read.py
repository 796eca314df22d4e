"""How comments are read: those of a task, now or as of an instant, a single one, and the versions of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import InvalidError, not_found
from app.queries.comments import CommentQuery
from app.queries.pages import Page, Position, ValuePage, VersionedRow, decode_cursor, encode_cursor, is_integer
from app.queries.tasks import TaskKey
from app.repositories.comments.read import CommentViewRepository
from app.services.tasks.read import CLOCK_TOLERANCE

VERSION_SORT = "-version"


class CommentEvent(StrEnum):
    CREATED = "created"
    EDITED = "edited"
    DELETED = "deleted"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class CommentState:
    """A version of a comment. `until` is None for the last one, `actor` for a change outside the API."""

    version: int
    at: datetime
    until: datetime | None
    event: CommentEvent
    actor: str | None
    request_id: str | None
    body: str
    body_html: str
    mentions: Sequence[str]


class CommentViewService:
    def __init__(self, uow: UnitOfWork, comments: CommentViewRepository, clock: Clock) -> None:
        self._uow = uow
        self._comments = comments
        self._now = clock

    def list_page(self, actor: Actor, key: TaskKey, query: CommentQuery) -> Page:
        """List the comments of a task, as they are or as they were at `query.as_of`."""
        if query.deleted:
            ensure_may(actor, Permission.COMMENT_MODERATE)
        if query.as_of is not None and query.as_of > self._now() + CLOCK_TOLERANCE:
            raise InvalidError.of("as_of", "is in the future")
        with self._uow.single_statements():
            page = self._comments.list_page(actor, key, query)
            # Nobody gets comments of a task that they may not see. Without comments, the task may be missing.
            if not page.rows and not self._comments.has_task(actor, key):
                not_found("task", key)
        return page

    def get(self, actor: Actor, key: TaskKey, comment_id: int) -> VersionedRow:
        """Get a comment. Actors who see deleted comments also get those, with their `deleted_at`."""
        with self._uow.single_statements():
            return self._comments.get_view(actor, key, comment_id) or not_found("comment", comment_id)

    def list_versions(
        self, actor: Actor, key: TaskKey, comment_id: int, *, cursor: str | None, limit: int
    ) -> ValuePage[CommentState]:
        """List every version of a comment, newest first."""
        before = None if cursor is None else decode_cursor(cursor, VERSION_SORT, is_integer).id
        with self._uow.transaction():
            if self._comments.get_view(actor, key, comment_id) is None:
                not_found("comment", comment_id)
            # One version more is read than shown: what happened is the difference to the version before.
            versions = self._comments.list_versions(comment_id, before_version=before, limit=limit + 1)
        states = [_state(version, older) for version, older in zip_longest(versions, versions[1:])]
        next_cursor = None
        if len(versions) > limit:
            last = versions[limit - 1]["version"]
            next_cursor = encode_cursor(VERSION_SORT, Position(str(last), last))
        return ValuePage(states[:limit], next_cursor)


def _state(version: Mapping[str, Any], older: Mapping[str, Any] | None) -> CommentState:
    return CommentState(
        version=version["version"],
        at=version["valid_from"],
        until=version["valid_to"],
        event=_event(version, older),
        actor=version["actor"],
        request_id=version["request_id"],
        body=version["body"],
        body_html=version["body_html"],
        mentions=version["mentions"],
    )


def _event(version: Mapping[str, Any], older: Mapping[str, Any] | None) -> CommentEvent:
    if older is None:
        return CommentEvent.CREATED
    if older["deleted_at"] is None and version["deleted_at"] is not None:
        return CommentEvent.DELETED
    if older["deleted_at"] is not None and version["deleted_at"] is None:
        return CommentEvent.RESTORED
    return CommentEvent.EDITED
