"""Saved views: a list of tasks with its filters, order and fields under a name, and who has pinned it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, word_enum

MAX_VIEW_NAME_LENGTH = 100


class ViewLayout(StrEnum):
    LIST = "list"
    BOARD = "board"


class ViewVisibility(StrEnum):
    """Who sees a view: its owner, the members of a project, or everybody."""

    PRIVATE = "private"
    PROJECT = "project"
    EVERYONE = "everyone"


class SavedView(Base):
    __tablename__ = "saved_views"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    # The parameters of the task list, as the client sent them. `me` means whoever opens the view.
    query: Mapped[dict[str, Any]] = mapped_column(JSONB)
    layout: Mapped[ViewLayout] = mapped_column(word_enum(ViewLayout, "view_layout"))
    visibility: Mapped[ViewVisibility] = mapped_column(word_enum(ViewVisibility, "view_visibility"))
    # The project whose members see the view.
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    version: Mapped[int] = mapped_column(server_default=text("1"))

    # Every UPDATE names the version that it was made from, so no update can be lost silently.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        # Three indexes for the three kinds of views that a user sees.
        Index(None, "owner_id", "id"),
        Index("ix_saved_views_project_id_id", "project_id", "id", postgresql_where=text("project_id IS NOT NULL")),
        Index("ix_saved_views_everyone", "id", postgresql_where=text("visibility = 'everyone'")),
        CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_VIEW_NAME_LENGTH}", "name_length"),
        CheckConstraint("(visibility = 'project') = (project_id IS NOT NULL)", "has_project_if_shared_there"),
    )


class ViewPin(Base):
    """A view that a user has pinned. The smallest position comes first."""

    __tablename__ = "view_pins"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    view_id: Mapped[int] = mapped_column(ForeignKey("saved_views.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int]

    __table_args__ = (
        # For deleting a view.
        Index(None, "view_id"),
    )
