"""The SQL of the export of comments: as plain columns, in the order of their ids."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.comments.comment import Comment
from app.models.projects.project import Project
from app.models.tasks.task import Task
from app.repositories.comments.rows import Author, is_deleted
from app.repositories.tasks.rows import is_deleted as is_deleted_task
from app.repositories.tasks.rows import visible_to

EXPORTED_COMMENT = {
    "task": Project.key + "-" + cast(Task.number, Text),
    "external_ref": Task.external_ref,
    "author": Author.username,
    "created_at": Comment.created_at,
    "body": Comment.body,
}


class CommentExportRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list_page(
        self, actor: Actor, *, projects: Collection[str], after_id: int, limit: int
    ) -> tuple[list[Sequence[Any]], int]:
        """The next comments after `after_id`, each as the values of EXPORTED_COMMENT, and the last id.

        Deleted comments and those of deleted tasks are left out. Without `projects`, all visible ones are meant.
        """
        statement = (
            select(Comment.id, *EXPORTED_COMMENT.values())
            .join(Task, Task.id == Comment.task_id)
            .join(Project, Project.id == Task.project_id)
            .join(Author, Author.id == Comment.author_id)
            .where(visible_to(actor), is_deleted_task(False), is_deleted(False), Comment.id > after_id)
        )
        if projects:
            # By ids: for keys, PostgreSQL would expect the average project, and read every comment for a rare one.
            ids = self._session.scalars(select(Project.id).where(Project.key.in_(projects))).all()
            statement = statement.where(Task.project_id.in_(ids))
        rows = self._session.execute(statement.order_by(Comment.id).limit(limit)).all()
        return [row[1:] for row in rows], rows[-1][0] if rows else after_id
