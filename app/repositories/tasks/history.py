"""The SQL of a task's history: its versions, newest first, with names for ids."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, and_, cast, func, select
from sqlalchemy.orm import Session, aliased

from app.auth.actor import Actor
from app.database.prepared import parameter
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.tasks.fields import FIELDS
from app.models.tasks.task import Task
from app.models.tasks.version import TaskVersion
from app.queries.tasks import TaskKey
from app.repositories.tasks.rows import is_task, key_parameters

Assignee = aliased(User, name="version_assignee")
Author = aliased(User, name="version_author")
Parent = aliased(TaskVersion, name="version_parent")

_NAMES = {"assignee": Assignee.username, "parent": Project.key + "-" + cast(Parent.number, Text)}

# A version of a task, with the API's field names. The project's key and the number replace the ref made of both.
VERSION_FIELDS: dict[str, Any] = {
    "project": Project.key,
    "number": TaskVersion.number,
    **{
        field.name: _NAMES[field.name] if field.name in _NAMES else getattr(TaskVersion, field.column_name)
        for field in FIELDS
        if field.is_in_history and field.name not in {"ref", "project"}
    },
}


class TaskHistoryRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def find_visible(self, actor: Actor, key: TaskKey, *, include_deleted: bool) -> int | None:
        """The id of the task if the actor may see its last version.

        A task that was removed for good still has its versions. They are found by its id alone.
        """
        exists = TaskVersion.deleted_at.is_(None) & ~func.isfinite(TaskVersion.valid_to)
        of_ref = select(Task.id).where(is_task(by_ref=True)).scalar_subquery()
        chosen = of_ref if isinstance(key, str) else parameter("task_id", BigInteger)
        statement = select(TaskVersion.task_id, TaskVersion.project_id, exists.label("task_exists"))
        statement = statement.where(TaskVersion.task_id == chosen).order_by(TaskVersion.revision.desc()).limit(1)
        last = self._session.execute(statement, key_parameters(key)).one_or_none()
        if last is None or not (actor.sees_everything or last.project_id in actor.project_ids):
            return None
        task_id: int = last.task_id
        return task_id if include_deleted or last.task_exists else None

    def list_versions(self, actor: Actor, task_id: int, *, before_revision: int | None, limit: int) -> Sequence[Any]:
        """The versions that the actor may see. Those from a project that the actor may not see are left out.

        Rows of revision, valid_from, valid_to (None for the last), actor, request_id and the VERSION_FIELDS.
        """
        columns = [column.label(name) for name, column in VERSION_FIELDS.items()]
        statement = (
            select(
                TaskVersion.revision,
                TaskVersion.valid_from,
                func.nullif(TaskVersion.valid_to, "infinity").label("valid_to"),
                Author.username.label("actor"),
                TaskVersion.request_id,
                *columns,
            )
            .join_from(TaskVersion, Project, Project.id == TaskVersion.project_id, isouter=True)
            .outerjoin(Assignee, Assignee.id == TaskVersion.assignee_id)
            .outerjoin(Parent, _is_parent_then())
            .outerjoin(Author, Author.id == TaskVersion.actor_id)
            .where(TaskVersion.task_id == task_id)
        )
        if not actor.sees_everything:
            statement = statement.where(TaskVersion.project_id.in_(actor.project_ids))
        if before_revision is not None:
            statement = statement.where(TaskVersion.revision < before_revision)
        return self._session.execute(statement.order_by(TaskVersion.revision.desc()).limit(limit)).mappings().all()


def _is_parent_then() -> ColumnElement[bool]:
    """The version of the parent when the version began, for the ref that it had then."""
    began = TaskVersion.valid_from
    return and_(Parent.task_id == TaskVersion.parent_id, Parent.valid_from <= began, Parent.valid_to > began)
