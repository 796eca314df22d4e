"""A task, and the rules that concern only one task."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, FetchedValue, ForeignKey, Identity, Index, func, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base
from app.models.tasks.fields import (
    ACTIVE_STATUSES,
    MAX_DESCRIPTION_LENGTH,
    MAX_ESTIMATE,
    MAX_EXTERNAL_REF_LENGTH,
    MAX_LABELS,
    MAX_TITLE_LENGTH,
    TaskStatus,
    VersionedColumns,
)

_PRESENT = text("deleted_at IS NULL")
# A task without a deadline comes after all others.
_DUE_KEY = text("coalesce(due_at, 'infinity'::timestamptz)")


class Task(VersionedColumns, Base):
    __tablename__ = "tasks"
    # A change needs an actor for the history. A session refuses to flush a change without one.
    keeps_history = True

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    description: Mapped[str] = mapped_column(server_default=text("''"))
    labels: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    creator_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    # A trigger sees to it that a subtask is in its parent's project, and that there are at most MAX_LEVELS levels.
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"))
    # The comments that are not deleted. Triggers of the comments maintain it.
    comment_count: Mapped[int] = mapped_column(server_default=text("0"), server_onupdate=FetchedValue())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # The number of the task's last version in the history, and when it began. Triggers maintain both.
    revision: Mapped[int] = mapped_column(server_default=text("1"), server_onupdate=FetchedValue(), deferred=True)
    revised_at: Mapped[datetime] = mapped_column(
        server_default=text("recorded_instant()"), server_onupdate=FetchedValue(), deferred=True
    )
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    version: Mapped[int] = mapped_column(server_default=text("1"))
    search: Mapped[str] = mapped_column(
        TSVECTOR, Computed("to_tsvector('simple', title || ' ' || description)", persisted=True), deferred=True
    )

    # Every UPDATE names the version that it was made from, so no update can be lost silently.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        # For the columns of the board, and for the neighbours of a place in a column.
        Index(
            "ix_tasks_project_id_status_position",
            "project_id",
            "status",
            "position",
            "id",
            postgresql_where=_PRESENT,
        ),
        # For finding a task by its ref, such as OPS-42.
        Index("uq_tasks_project_id_number", "project_id", "number", unique=True),
        # For the default list, newest change first.
        Index("ix_tasks_updated_at_id", "updated_at", "id", postgresql_where=text("deleted_at IS NULL")),
        # For the list of deleted tasks.
        Index("ix_tasks_updated_at_deleted", "updated_at", "id", postgresql_where=text("deleted_at IS NOT NULL")),
        # For the lists of one project, assignee or creator, newest change first. The one of assignees also serves the
        # check when a user is deleted.
        Index("ix_tasks_project_id_updated_at", "project_id", "updated_at", "id", postgresql_where=_PRESENT),
        Index(
            "ix_tasks_assignee_id_updated_at",
            "assignee_id",
            "updated_at",
            "id",
            postgresql_where=text("assignee_id IS NOT NULL"),
        ),
        Index("ix_tasks_creator_id_updated_at", "creator_id", "updated_at", "id", postgresql_where=_PRESENT),
        # For a person's tasks by deadline.
        Index(
            "ix_tasks_assignee_id_due_key",
            "assignee_id",
            _DUE_KEY,
            "id",
            postgresql_where=text("deleted_at IS NULL AND assignee_id IS NOT NULL"),
        ),
        # For the sorts of lists, and for filters by these columns. The first one has no condition, because PostgreSQL
        # uses the statistics of an expression only from such an index.
        Index("ix_tasks_due_key", _DUE_KEY, "id"),
        Index("ix_tasks_created_at", "created_at", "id", postgresql_where=_PRESENT),
        Index("ix_tasks_position", "position", "id", postgresql_where=_PRESENT),
        Index("ix_tasks_priority", "priority", "id", postgresql_where=_PRESENT),
        Index("ix_tasks_status", "status", "id", postgresql_where=_PRESENT),
        Index("ix_tasks_title", "title", "id", postgresql_where=_PRESENT),
        # For filters by these times and the report on cycle times.
        Index(
            "ix_tasks_completed_at",
            "completed_at",
            postgresql_where=text("deleted_at IS NULL AND completed_at IS NOT NULL"),
        ),
        Index(
            "ix_tasks_started_at", "started_at", postgresql_where=text("deleted_at IS NULL AND started_at IS NOT NULL")
        ),
        Index("ix_tasks_labels", "labels", postgresql_using="gin"),
        Index("ix_tasks_search", "search", postgresql_using="gin"),
        # For the filter by external reference, and for imports, which look for the task of a row by it.
        Index(
            "ix_tasks_external_ref",
            "external_ref",
            "project_id",
            postgresql_where=text("external_ref IS NOT NULL"),
        ),
        # For the subtasks of a task, and the check when it is removed for good.
        Index("ix_tasks_parent_id", "parent_id", "id", postgresql_where=text("parent_id IS NOT NULL")),
        # For the tasks that are due to recur.
        Index(
            "ix_tasks_recurring",
            "due_at",
            "id",
            postgresql_where=text("recurrence IS NOT NULL AND deleted_at IS NULL"),
        ),
        # For imports, which look for the task of a row by its content if the row has no external reference.
        Index(
            "ix_tasks_project_id_content",
            "project_id",
            text("hashtextextended((title || ' '::text) || description, 0::bigint)"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        CheckConstraint(f"char_length(title) BETWEEN 1 AND {MAX_TITLE_LENGTH}", "title_length"),
        CheckConstraint(f"char_length(description) <= {MAX_DESCRIPTION_LENGTH}", "description_length"),
        CheckConstraint(f"cardinality(labels) <= {MAX_LABELS}", "label_count"),
        CheckConstraint(f"char_length(external_ref) BETWEEN 1 AND {MAX_EXTERNAL_REF_LENGTH}", "external_ref_length"),
        CheckConstraint(f"estimate BETWEEN 0 AND {MAX_ESTIMATE}", "estimate_range"),
    )

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE_STATUSES and self.deleted_at is None

    @property
    def has_ended_recurring(self) -> bool:
        """True if the next task of a series is due."""
        return self.recurrence is not None and not self.is_active and self.deleted_at is None

    def change_status(self, status: TaskStatus, *, at: datetime) -> None:
        """Set the status and the times that depend on it: a start is set once, and reopening a task clears its end."""
        if status == self.status:
            return
        if status is TaskStatus.IN_PROGRESS and self.started_at is None:
            self.started_at = at
        if status in ACTIVE_STATUSES:
            self.completed_at = None
        elif self.completed_at is None:
            self.completed_at = at
        self.status = status

    def delete(self, *, at: datetime) -> None:
        if self.deleted_at is None:
            self.deleted_at = at

    def restore(self) -> None:
        self.deleted_at = None
