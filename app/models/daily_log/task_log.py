"""The daily log: one task on one day, and how each day was logged."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Identity, Index, PrimaryKeyConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, word_enum
from app.models.tasks.fields import LoggedColumns


class LogSource(StrEnum):
    SCHEDULED = "scheduled"
    MANUAL = "manual"
    BACKFILL = "backfill"


class TaskLog(LoggedColumns, Base):
    """A task that was active at the end of `log_date`, with the state it had then.

    The primary key makes a second row for the same day and task impossible, however often the job runs. There are no
    foreign keys, because the log outlives tasks, users and projects. Partitioned by month.
    """

    __tablename__ = "task_logs"

    log_date: Mapped[date]
    task_id: Mapped[int]
    id: Mapped[int] = mapped_column(Identity(always=True))

    __table_args__ = (
        PrimaryKeyConstraint("log_date", "task_id"),
        # GET /task/<logger_id> in the classic API finds a row by its own id.
        Index("ix_task_logs_id", "id"),
        {"postgresql_partition_by": "RANGE (log_date)"},
    )


class LogRun(Base):
    """How a day was logged. Written in the same transaction as the day's rows."""

    __tablename__ = "log_runs"

    log_date: Mapped[date] = mapped_column(primary_key=True)
    time_zone: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    task_count: Mapped[int]
    source: Mapped[LogSource] = mapped_column(word_enum(LogSource, "log_source"))
    # False until the day has ended. The first run after that completes the day's rows, and then they never change.
    is_final: Mapped[bool]


class LogRequest(Base):
    """A user's request to log a day now. The worker that logs the day deletes the row in the same transaction."""

    __tablename__ = "log_requests"

    log_date: Mapped[date] = mapped_column(primary_key=True)
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    requested_by: Mapped[int]
