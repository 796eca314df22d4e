"""A task, and the rules that one task can keep by itself."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, FetchedValue, ForeignKey, Identity, Index, func, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base
from app.models.tasks.fields import (
    ACTIVE_STATUSES,
    MAX_DESCRIPTION_LENGTH,
    MAX_EXTERNAL_REF_LENGTH,
    MAX_LABELS,
    MAX_TITLE_LENGTH,
    TaskStatus,
    VersionedColumns,
)


class Task(VersionedColumns, Base):
    __tablename__ = "tasks"
    # Each change is written in somebody's name: the unit of work refuses to flush one that is not.
    keeps_history = True

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    description: Mapped[str] = mapped_column(server_default=text("''"))
    labels: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    creator_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # The task's last version in the history, and since when it is the last; triggers see to both.
    revision: Mapped[int] = mapped_column(server_default=text("1"), server_onupdate=FetchedValue(), deferred=True)
    revised_at: Mapped[datetime] = mapped_column(
        server_default=text("recorded_instant()"), server_onupdate=FetchedValue(), deferred=True
    )
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    version: Mapped[int] = mapped_column(server_default=text("1"))
    search: Mapped[str] = mapped_column(
        TSVECTOR, Computed("to_tsvector('simple', title || ' ' || description)", persisted=True), deferred=True
    )

    # Every UPDATE says which version it was made from, so an update cannot be lost unseen.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        # The ref, OPS-42.
        Index("uq_tasks_project_id_number", "project_id", "number", unique=True),
        # The list as it opens: newest change first.
        Index("ix_tasks_updated_at_id", "updated_at", "id", postgresql_where=text("deleted_at IS NULL")),
        # Lists of due and overdue tasks.
        Index("ix_tasks_due_at", "due_at", postgresql_where=text("deleted_at IS NULL AND due_at IS NOT NULL")),
        # Whose it is; also what deleting a user has to check.
        Index("ix_tasks_assignee_id", "assignee_id", postgresql_where=text("assignee_id IS NOT NULL")),
        Index("ix_tasks_search", "search", postgresql_using="gin"),
        # An import looks here for the task of a row: by its external reference, or by its content.
        Index(
            "ix_tasks_project_id_external_ref",
            "project_id",
            "external_ref",
            postgresql_where=text("external_ref IS NOT NULL"),
        ),
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
    )

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE_STATUSES and self.deleted_at is None

    def change_status(self, status: TaskStatus, *, at: datetime) -> None:
        """Started when first taken up, completed when it ends either way, and open again when it is reopened."""
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
