"""The history: a row for every version of every task, written by triggers and never changed."""

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base
from app.models.tasks.fields import VersionedColumns


class TaskVersion(VersionedColumns, Base):
    """A task from `valid_from` until just before `valid_to`; the last version's `valid_to` is infinity.

    There are no foreign keys: the history outlives the rows that it names. `actor_id` and `request_id` say who made the
    version and in which request; both are None for a change that was made outside the services.
    """

    __tablename__ = "task_history"

    task_id: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime] = mapped_column(server_default=text("'infinity'"))
    actor_id: Mapped[int | None]
    request_id: Mapped[str | None]

    __table_args__ = (
        # For the list as it was at an instant, newest change first.
        Index("ix_task_history_valid_from_task_id", "valid_from", "task_id"),
        # For the subtasks that a task had at an instant.
        Index("ix_task_history_parent_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        # For the versions that have ended since a midnight.
        Index("ix_task_history_valid_to", "valid_to", postgresql_where=text("valid_to < 'infinity'")),
        CheckConstraint("valid_from < valid_to", "lasts"),
    )


class RecordBoundary(Base):
    """One row: the instant up to which the history is closed. No version begins before it."""

    __tablename__ = "record_boundary"

    id: Mapped[bool] = mapped_column(Boolean, primary_key=True, server_default=text("true"))
    closed_until: Mapped[datetime]

    __table_args__ = (CheckConstraint("id", "one_row"),)
