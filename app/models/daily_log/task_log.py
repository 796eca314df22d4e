"""The record: one task on one day, and what is known of how each day was logged."""

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

    The primary key makes a second row for the same day and task impossible, whoever runs the job how often. There are
    no foreign keys: the record outlives what it speaks of. Partitioned by month.
    """

    __tablename__ = "task_logs"

    log_date: Mapped[date]
    task_id: Mapped[int]
    id: Mapped[int] = mapped_column(Identity(always=True))

    __table_args__ = (
        PrimaryKeyConstraint("log_date", "task_id"),
        # GET /task/<logger_id>: a log row by its own number.
        Index("ix_task_logs_id", "id"),
        {"postgresql_partition_by": "RANGE (log_date)"},
    )


class LogRun(Base):
    """How a day was logged; written in the transaction that wrote the day's rows."""

    __tablename__ = "log_runs"

    log_date: Mapped[date] = mapped_column(primary_key=True)
    time_zone: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    task_count: Mapped[int]
    source: Mapped[LogSource] = mapped_column(word_enum(LogSource, "log_source"))
    # False while the day lasts: the first run after its midnight completes it, and nothing rewrites it after that.
    is_final: Mapped[bool]


class LogRequest(Base):
    """Somebody asked for a day to be logged now; done by a worker, which deletes the row with its work."""

    __tablename__ = "log_requests"

    log_date: Mapped[date] = mapped_column(primary_key=True)
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    requested_by: Mapped[int]
