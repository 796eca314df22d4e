"""The SQL of reading comments: those of a task, a single one, and the versions of one."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, select, tuple_
from sqlalchemy.orm import Session, aliased

from app.auth.actor import Actor
from app.auth.permissions import sees_deleted_comments
from app.database.prepared import PlannedOnce, parameter
from app.models.comments.comment import Comment
from app.models.comments.version import CommentVersion
from app.models.people.user import User
from app.models.tasks.task import Task
from app.queries.comments import CommentQuery
from app.queries.pages import Page, VersionedRow, decode_cursor, is_timestamp
from app.queries.tasks import TaskKey
from app.repositories.comments.rows import CommentEntity, comment_fields, is_deleted, mentions_of, with_names
from app.repositories.pages import json_text, page_of
from app.repositories.scope import anybody_like, scope_parameters
from app.repositories.tasks.rows import key_parameters, visible_task_id

Editor = aliased(User, name="editor")
_MOMENT = Comment.created_at.type
# What a version keeps of its comment. The comment itself has the rest, which never changes.
_VERSIONED = ("version", "body", "body_html", "edited_at", "deleted_at", "deleted_by_id")


class CommentViewRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def has_task(self, actor: Actor, key: TaskKey) -> bool:
        """True if the actor may see the task."""
        values = {**key_parameters(key), **scope_parameters(actor)}
        return bool(_find_task(anybody_like(actor), isinstance(key, str)).rows(self._session, values))

    def list_page(self, actor: Actor, key: TaskKey, query: CommentQuery) -> Page:
        """A page of the comments of a task. It is empty if the actor may not see the task.

        A list as of an instant leaves out the comments that were deleted since, unless the actor sees deleted ones.
        """
        values: dict[str, Any] = {
            **key_parameters(key),
            **scope_parameters(actor),
            "as_of": query.as_of,
            "rows": query.limit + 1,
        }
        if query.cursor is not None:
            position = decode_cursor(query.cursor, query.sort, is_timestamp)
            values |= {"first_key": position.key, "first_id": position.id}
        is_as_of, is_descending = query.as_of is not None, query.sort.startswith("-")
        statement = _page(
            anybody_like(actor), isinstance(key, str), query.deleted, is_as_of, is_descending, query.cursor is not None
        )
        return page_of(statement.rows(self._session, values), limit=query.limit, sort=query.sort, total=None)

    def get_view(self, actor: Actor, key: TaskKey, comment_id: int) -> VersionedRow | None:
        """None for a deleted comment, unless the actor sees those."""
        values = {**key_parameters(key), **scope_parameters(actor), "comment_id": comment_id}
        rows = _view(anybody_like(actor), isinstance(key, str)).rows(self._session, values)
        return VersionedRow(rows[0].json.encode(), rows[0].id, rows[0].version) if rows else None

    def list_versions(self, comment_id: int, *, before_version: int | None, limit: int) -> Sequence[Any]:
        """Rows of version, valid_from, valid_to (None for the last), deleted_at, body, body_html, mentions, actor and
        request_id, newest first.
        """
        statement = (
            select(
                CommentVersion.version,
                CommentVersion.valid_from,
                func.nullif(CommentVersion.valid_to, "infinity").label("valid_to"),
                CommentVersion.deleted_at,
                CommentVersion.body,
                CommentVersion.body_html,
                mentions_of(CommentVersion.comment_id, CommentVersion.version).label("mentions"),
                Editor.username.label("actor"),
                CommentVersion.request_id,
            )
            .outerjoin(Editor, Editor.id == CommentVersion.actor_id)
            .where(CommentVersion.comment_id == comment_id)
        )
        if before_version is not None:
            statement = statement.where(CommentVersion.version < before_version)
        return self._session.execute(statement.order_by(CommentVersion.version.desc()).limit(limit)).mappings().all()


@cache
def _find_task(actor: Actor, by_ref: bool) -> PlannedOnce:
    return PlannedOnce(select(Task.id).where(Task.id == visible_task_id(actor, by_ref=by_ref)))


@cache
def _view(actor: Actor, by_ref: bool) -> PlannedOnce:
    is_meant = (
        Comment.id == parameter("comment_id", BigInteger),
        Comment.task_id == visible_task_id(actor, by_ref=by_ref),
    )
    statement = select(Comment.id, Comment.version, json_text(comment_fields(Comment)).label("json")).where(*is_meant)
    return PlannedOnce(with_names(statement if sees_deleted_comments(actor) else statement.where(is_deleted(False))))


@cache
def _page(
    actor: Actor, by_ref: bool, deleted: bool, is_as_of: bool, is_descending: bool, has_cursor: bool
) -> PlannedOnce:
    """The best plan is the same for all tasks: to walk the index of their comments.

    With `=`, PostgreSQL would expect as few comments as most tasks have, and read and sort those of a task that has
    thousands. From a range it expects many.
    """
    comment = _comment_as_of(actor, parameter("as_of", _MOMENT)) if is_as_of else Comment
    task = select(visible_task_id(actor, by_ref=by_ref).label("id")).cte("task")
    task_id = select(task.c.id).scalar_subquery()
    chosen = select(comment).where(comment.task_id >= task_id, comment.task_id <= task_id, is_deleted(deleted, comment))
    if has_cursor:
        here = tuple_(comment.task_id, comment.created_at, comment.id)
        first = tuple_(task_id, cast(parameter("first_key", Text), _MOMENT), parameter("first_id", BigInteger))
        chosen = chosen.where(here < first if is_descending else here > first)
    page = _ordered(chosen, comment, is_descending).limit(parameter("rows", BigInteger)).subquery("page")
    # The page is cut before names are joined, so that only its own rows are joined.
    row: CommentEntity = aliased(Comment, page, adapt_on_names=True)
    statement = select(json_text(comment_fields(row)), cast(row.created_at, Text), row.id)
    return PlannedOnce(_ordered(with_names(statement, row), row, is_descending))


def _ordered(statement: Any, comment: CommentEntity, is_descending: bool) -> Any:
    keys = (comment.task_id, comment.created_at, comment.id)
    return statement.order_by(*(key.desc() if is_descending else key for key in keys))


def _comment_as_of(actor: Actor, instant: ColumnElement[datetime]) -> CommentEntity:
    """A stand-in for Comment that has each comment's version at this instant."""
    then = select(
        Comment.id,
        Comment.task_id,
        Comment.author_id,
        Comment.created_at,
        *(getattr(CommentVersion, name) for name in _VERSIONED),
        CommentVersion.valid_from.label("revised_at"),
    ).join(CommentVersion, CommentVersion.comment_id == Comment.id)
    then = then.where(CommentVersion.valid_from <= instant, CommentVersion.valid_to > instant)
    if not sees_deleted_comments(actor):
        # What somebody has deleted since, perhaps a password, is not to be found in the past either.
        then = then.where(is_deleted(False))
    return aliased(Comment, then.subquery("comment_then"), adapt_on_names=True)
