"""The SQL of the export: the tasks that match a list's filters, as plain columns and in the order of their ids."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.tasks.fields import EXPORTED
from app.models.tasks.task import Task
from app.queries.tasks import TaskQuery
from app.repositories.scope import scope_parameters
from app.repositories.tasks.filters import filter_values
from app.repositories.tasks.read import conditions_of
from app.repositories.tasks.rows import TASK_FIELDS, with_names


class TaskExportRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list_page(
        self, actor: Actor, query: TaskQuery, *, now: datetime, after_id: int, limit: int
    ) -> tuple[list[Sequence[Any]], int]:
        """The next tasks after `after_id`, each as the values of EXPORTED, and the last id.

        The order is by id, which never changes, so a task that exists throughout is exported exactly once.
        """
        filters = filter_values(self._session, query, now)
        chosen = (
            select(Task.id)
            .where(*conditions_of(actor, filters, deleted=query.deleted), Task.id > after_id)
            .order_by(Task.id)
            .limit(limit)
            .subquery("page")
        )
        columns = [TASK_FIELDS[name] for name in EXPORTED]
        statement = with_names(select(Task.id, *columns)).join(chosen, chosen.c.id == Task.id).order_by(Task.id)
        rows = self._session.execute(statement, {**filters, **scope_parameters(actor)}).all()
        return [row[1:] for row in rows], rows[-1][0] if rows else after_id
