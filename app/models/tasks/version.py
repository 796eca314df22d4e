"""Every version of every task: one row each, written by triggers and never changed."""

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, word_enum
from app.models.tasks.task import TaskPriority, TaskStatus


class TaskVersion(Base):
    """A task from `valid_from` until just before `valid_to`; the last version's `valid_to` is infinity.

    There are no foreign keys: the history outlives what it speaks of. `actor_id` and `request_id` say who made the
    version and in which request; both are None for what was written past the services.
    """

    __tablename__ = "task_history"

    task_id: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime] = mapped_column(server_default=text("'infinity'"))
    project_id: Mapped[int]
    number: Mapped[int]
    title: Mapped[str]
    description: Mapped[str]
    status: Mapped[TaskStatus] = mapped_column(word_enum(TaskStatus, "task_status"))
    priority: Mapped[TaskPriority] = mapped_column(word_enum(TaskPriority, "task_priority"))
    labels: Mapped[list[str]]
    creator_id: Mapped[int]
    assignee_id: Mapped[int | None]
    due_at: Mapped[datetime | None]
    external_ref: Mapped[str | None]
    position: Mapped[float]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    version: Mapped[int]
    actor_id: Mapped[int | None]
    request_id: Mapped[str | None]

    __table_args__ = (
        # The list as it was at an instant, newest change first.
        Index("ix_task_history_valid_from_task_id", "valid_from", "task_id"),
        # What has changed since a midnight.
        Index("ix_task_history_valid_to", "valid_to", postgresql_where=text("valid_to < 'infinity'")),
        CheckConstraint("valid_from < valid_to", "lasts"),
    )


class RecordBoundary(Base):
    """One row: up to when the record is closed. No version begins before that."""

    __tablename__ = "record_boundary"

    id: Mapped[bool] = mapped_column(Boolean, primary_key=True, server_default=text("true"))
    closed_until: Mapped[datetime]

    __table_args__ = (CheckConstraint("id", "one_row"),)
