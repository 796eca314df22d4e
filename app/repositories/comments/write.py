"""The SQL of writing comments: locking a task and one of its comments, and adding, editing and deleting a comment."""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Text, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.sql import func

from app.auth.actor import Actor
from app.database.engine import ensure_signed
from app.database.prepared import PlannedOnce, parameter
from app.models.comments.comment import Comment, CommentMention
from app.models.tasks.task import Task
from app.queries.comments import LockedComment, LockedTask
from app.queries.tasks import TaskKey
from app.repositories.comments.rows import is_deleted
from app.repositories.scope import anybody_like, scope_parameters
from app.repositories.tasks.rows import is_deleted as is_deleted_task
from app.repositories.tasks.rows import is_task, key_parameters, visible_to

_MOMENT = Comment.created_at.type
_LOCK_COMMENT = PlannedOnce(
    select(Comment.id, Comment.author_id, Comment.body, Comment.version)
    .where(
        Comment.id == parameter("comment_id", BigInteger),
        Comment.task_id == parameter("task_id", BigInteger),
        is_deleted(False),
    )
    .with_for_update(key_share=True)
)
_ADD = PlannedOnce(
    insert(Comment)
    .values(
        task_id=parameter("task_id", BigInteger),
        author_id=parameter("author_id", BigInteger),
        body=parameter("body", Text),
        body_html=parameter("body_html", Text),
        created_at=parameter("created_at", _MOMENT),
    )
    .returning(Comment.id, Comment.version)
)
_EDIT = PlannedOnce(
    update(Comment)
    .where(Comment.id == parameter("comment_id", BigInteger))
    .values(body=parameter("body", Text), body_html=parameter("body_html", Text))
    .returning(Comment.id, Comment.version)
)
_DELETE = PlannedOnce(
    update(Comment)
    .where(Comment.id == parameter("comment_id", BigInteger))
    .values(deleted_at=parameter("deleted_at", _MOMENT), deleted_by_id=parameter("deleted_by_id", BigInteger))
    .returning(Comment.id)
)
_RESTORE = PlannedOnce(
    update(Comment)
    .where(
        Comment.id == parameter("comment_id", BigInteger),
        Comment.task_id == parameter("task_id", BigInteger),
        is_deleted(True),
    )
    .values(deleted_at=None, deleted_by_id=None)
    .returning(Comment.id)
)
_user_ids = func.unnest(parameter("user_ids", ARRAY(BigInteger))).column_valued("user_id")
_MENTION = PlannedOnce(
    insert(CommentMention)
    .from_select(
        ["comment_id", "version", "user_id"],
        select(parameter("comment_id", BigInteger), parameter("version", BigInteger), _user_ids),
    )
    .returning(CommentMention.user_id)
)


class CommentRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def lock_task(self, actor: Actor, key: TaskKey) -> LockedTask | None:
        """A task that the actor may see and that is not deleted, locked until the commit.

        Each change of a comment locks its task first: the trigger that counts comments locks it too.
        """
        values = {**key_parameters(key), **scope_parameters(actor)}
        rows = _lock_task(anybody_like(actor), isinstance(key, str)).rows(self._session, values)
        return LockedTask(rows[0].id, rows[0].project_id) if rows else None

    def get_for_update(self, task_id: int, comment_id: int) -> LockedComment | None:
        """A comment of the task that is not deleted, with its current values, locked until the commit."""
        rows = _LOCK_COMMENT.rows(self._session, {"task_id": task_id, "comment_id": comment_id})
        return LockedComment(*rows[0]) if rows else None

    def add(
        self, task_id: int, author_id: int, *, body: str, body_html: str, user_ids: Collection[int], at: datetime
    ) -> int:
        """Add a comment that mentions these users. Return its id."""
        values = {"task_id": task_id, "author_id": author_id, "body": body, "body_html": body_html, "created_at": at}
        return self._write(_ADD, values, user_ids)

    def edit(self, comment_id: int, *, body: str, body_html: str, user_ids: Collection[int]) -> None:
        """Replace the text of a comment, and with it whom it mentions."""
        self._write(_EDIT, {"comment_id": comment_id, "body": body, "body_html": body_html}, user_ids)

    def delete(self, comment_id: int, *, by_id: int, at: datetime) -> None:
        """Soft-delete a comment: its versions stay."""
        self._write(_DELETE, {"comment_id": comment_id, "deleted_at": at, "deleted_by_id": by_id}, ())

    def restore(self, task_id: int, comment_id: int) -> bool:
        """False if the task has no such deleted comment."""
        ensure_signed(self._session)
        return bool(_RESTORE.write(self._session, {"task_id": task_id, "comment_id": comment_id}))

    def _write(self, statement: PlannedOnce, values: dict[str, Any], user_ids: Collection[int]) -> int:
        """Run a statement that writes a comment. As for a flush, the transaction must have an actor."""
        ensure_signed(self._session)
        (row,) = statement.write(self._session, values)
        if user_ids:
            mentions = {"comment_id": row.id, "version": row.version, "user_ids": sorted(user_ids)}
            _MENTION.write(self._session, mentions)
        comment_id: int = row.id
        return comment_id


@cache
def _lock_task(actor: Actor, by_ref: bool) -> PlannedOnce:
    statement = select(Task.id, Task.project_id).where(is_task(by_ref=by_ref), visible_to(actor))
    return PlannedOnce(statement.where(is_deleted_task(False)).with_for_update(key_share=True))
