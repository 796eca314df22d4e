"""Projects, which tasks belong to, and their members."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

DEFAULT_PROJECT_KEY = "GEN"
PROJECT_KEY_PATTERN = r"^[A-Z][A-Z0-9]{1,9}$"
MAX_PROJECT_NAME_LENGTH = 100


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
    last_task_number: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # The version of the project's name and members. The number of its last task is not a part of it.
    version: Mapped[int] = mapped_column(server_default=text("1"))

    # Every UPDATE names the version that it was made from, so no update can be lost silently.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        Index("uq_projects_key", "key", unique=True),
        CheckConstraint(f"key ~ '{PROJECT_KEY_PATTERN}'", "key_format"),
        CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_PROJECT_NAME_LENGTH}", "name_length"),
    )


class ProjectMember(Base):
    __tablename__ = "project_members"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    added_at: Mapped[datetime] = mapped_column(server_default=func.now())

    # For finding a user's projects. The primary key finds a project's members.
    __table_args__ = (Index(None, "user_id"),)
