"""Read rows from the database of a test."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models.base import Base
from app.models.tasks.task import Task


def count(session: Session, model: type[Base]) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def list_tasks(session: Session) -> Sequence[Task]:
    return session.scalars(select(Task).order_by(Task.number).execution_options(populate_existing=True)).all()
