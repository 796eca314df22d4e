"""Projects, which tasks belong to, their members, and the times for which they were archived."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.errors import ProjectArchivedError
from app.models.base import Base

DEFAULT_PROJECT_KEY = "GEN"
PROJECT_KEY_PATTERN = r"^[A-Z][A-Z0-9]{1,9}$"
MAX_PROJECT_NAME_LENGTH = 100
MAX_PROJECT_DESCRIPTION_LENGTH = 20_000
COLOR_PATTERN = r"^#[0-9a-f]{6}$"
MAX_WIP_LIMIT = 10_000
# The active statuses, of which a project may limit the number of tasks. A test compares them with those of tasks.
LIMITED_STATUSES = ("todo", "in_progress", "blocked")


def in_capitals(text: str) -> str:
    """A key or a ref in capital letters. Text that is not ASCII stays as it is: the capitals of `ß` would be `SS`."""
    return text.upper() if text.isascii() else text


class Project(Base):
    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    key: Mapped[str]
    name: Mapped[str]
    # True for the default project: every user is a member without a row in project_members.
    includes_everyone: Mapped[bool] = mapped_column(server_default=text("false"))
    # In Markdown.
    description: Mapped[str] = mapped_column(server_default=text("''"))
    # Red, green and blue in hexadecimal digits, such as #1f6f5c.
    color: Mapped[str | None]
    # How many tasks a status should have at most. A board warns of more, and nothing refuses them.
    wip_limits: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    # Set while the project is archived. A trigger replaces the time by that of the history.
    archived_at: Mapped[datetime | None]
    last_task_number: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # A change of a column above or of a member raises the version. A new task does not.
    version: Mapped[int] = mapped_column(server_default=text("1"))

    # Every UPDATE names the version that it was made from, so no update can be lost silently.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        Index("uq_projects_key", "key", unique=True),
        # For the few archived projects, which are asked for at each log-in and at each write of a task.
        Index("ix_projects_archived", "id", postgresql_where=text("archived_at IS NOT NULL")),
        CheckConstraint(f"key ~ '{PROJECT_KEY_PATTERN}'", "key_format"),
        CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_PROJECT_NAME_LENGTH}", "name_length"),
        CheckConstraint(f"char_length(description) <= {MAX_PROJECT_DESCRIPTION_LENGTH}", "description_length"),
        CheckConstraint(f"color ~ '{COLOR_PATTERN}'", "color_format"),
        CheckConstraint("archived_at IS NULL OR NOT includes_everyone", "default_is_open"),
    )

    def ensure_open(self) -> None:
        """Raises ProjectArchivedError if the project is archived, and so is read-only."""
        if self.archived_at is not None:
            raise ProjectArchivedError(f"the project {self.key} is archived, so it cannot be changed")


class ProjectMember(Base):
    __tablename__ = "project_members"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    added_at: Mapped[datetime] = mapped_column(server_default=func.now())

    # For finding a user's projects. The primary key finds a project's members.
    __table_args__ = (Index(None, "user_id"),)


class ProjectArchival(Base):
    """A project was archived from `archived_at` until just before `restored_at`, which is infinity while it still is.

    A trigger on projects writes it, so that past days can leave out the projects that were archived then.
    """

    __tablename__ = "project_archivals"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    archived_at: Mapped[datetime] = mapped_column(primary_key=True)
    restored_at: Mapped[datetime] = mapped_column(server_default=text("'infinity'"))

    __table_args__ = (CheckConstraint("archived_at < restored_at", "lasts"),)
