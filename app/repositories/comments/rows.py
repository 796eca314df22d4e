"""A comment as clients see it, in SQL: its fields, and the tables that they come from."""

from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func, select
from sqlalchemy.orm import aliased
from sqlalchemy.orm.util import AliasedClass

from app.models.comments.comment import Comment, CommentMention
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.tasks.task import Task
from app.repositories.pages import AnySelect

Author = aliased(User, name="author")
Deleter = aliased(User, name="deleter")
_Mentioned = aliased(User, name="mentioned")

# Comment, or a stand-in that has each comment's version at some instant.
CommentEntity = type[Comment] | AliasedClass[Comment]


def comment_fields(comment: CommentEntity) -> dict[str, Any]:
    """A comment as clients see it. `schemas/comments.py` documents these fields, and a test compares the two."""
    return {
        "id": comment.id,
        "task_id": comment.task_id,
        "task": Project.key + "-" + cast(Task.number, Text),
        "author": Author.username,
        "body": comment.body,
        "body_html": comment.body_html,
        "mentions": mentions_of(comment.id, comment.version),
        "created_at": comment.created_at,
        "edited_at": comment.edited_at,
        "deleted_at": comment.deleted_at,
        "deleted_by": Deleter.username,
        "version": comment.version,
    }


def with_names(statement: AnySelect, comment: CommentEntity = Comment) -> AnySelect:
    """Join the tables that `comment_fields` takes names from."""
    return (
        statement.join_from(comment, Task, Task.id == comment.task_id)
        .join(Project, Project.id == Task.project_id)
        .join(Author, Author.id == comment.author_id)
        .outerjoin(Deleter, Deleter.id == comment.deleted_by_id)
    )


def is_deleted(deleted: bool, comment: CommentEntity = Comment) -> ColumnElement[bool]:
    return comment.deleted_at.is_not(None) if deleted else comment.deleted_at.is_(None)


def mentions_of(comment_id: Any, version: Any) -> Any:
    """The names of those whom this version of a comment mentions, in alphabetical order."""
    names = (
        select(_Mentioned.username)
        .join(CommentMention, CommentMention.user_id == _Mentioned.id)
        .where(CommentMention.comment_id == comment_id, CommentMention.version == version)
        .order_by(func.lower(_Mentioned.username))
        .correlate_except(_Mentioned, CommentMention)
    )
    return func.array(names.scalar_subquery())


COMMENT_FIELDS = comment_fields(Comment)
