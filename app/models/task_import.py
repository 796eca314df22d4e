"""An uploaded CSV: its options, how far it is, its rows until they are tasks, and what was wrong with the others."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, word_enum
from app.models.task import TaskPriority, TaskStatus


class ImportState(StrEnum):
    """Staging reads the file into rows; loading makes tasks of them."""

    STAGING = "staging"
    LOADING = "loading"
    FINISHED = "finished"
    FAILED = "failed"


class TaskImport(Base):
    __tablename__ = "imports"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    creator_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    filename: Mapped[str]
    is_dry_run: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[ImportState] = mapped_column(word_enum(ImportState, "import_state"))
    read_count: Mapped[int] = mapped_column(server_default=text("0"))
    created_count: Mapped[int] = mapped_column(server_default=text("0"))
    refused_count: Mapped[int] = mapped_column(server_default=text("0"))
    failure: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]

    # The list of imports, newest first, of one creator's or one project's.
    __table_args__ = (Index(None, "project_id"), Index(None, "creator_id"))


class ImportRow(Base):
    """A good row on its way to become a task. (import, row number) is unique: it lands once, however often tried."""

    __tablename__ = "import_rows"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True)
    line_number: Mapped[int]
    title: Mapped[str]
    description: Mapped[str]
    status: Mapped[TaskStatus] = mapped_column(word_enum(TaskStatus, "task_status"))
    priority: Mapped[TaskPriority] = mapped_column(word_enum(TaskPriority, "task_priority"))
    created_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    labels: Mapped[list[str]]
    assignee: Mapped[str | None]


class RowError(Base):
    """One thing for which a row was refused, in words that somebody can mend it by."""

    __tablename__ = "import_errors"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True)
    problem_number: Mapped[int] = mapped_column(primary_key=True)
    line_number: Mapped[int]
    column_name: Mapped[str | None]
    value: Mapped[str | None]
    reason: Mapped[str]
