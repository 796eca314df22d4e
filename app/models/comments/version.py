"""The versions of comments, written by triggers and never changed."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class CommentVersion(Base):
    """A comment from `valid_from` until just before `valid_to`; the last version's `valid_to` is infinity.

    `actor_id` and `request_id` say who made the version and in which request; both are None for a change that was made
    outside the services. A comment that is removed for good takes its versions along.
    """

    __tablename__ = "comment_versions"

    comment_id: Mapped[int] = mapped_column(ForeignKey("comments.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime] = mapped_column(server_default=text("'infinity'"))
    body: Mapped[str]
    body_html: Mapped[str]
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    deleted_by_id: Mapped[int | None]
    actor_id: Mapped[int | None]
    request_id: Mapped[str | None]

    __table_args__ = (
        # For counting the comments that a task had at an instant.
        Index("ix_comment_versions_task_id", "task_id", "valid_from"),
        CheckConstraint("valid_from < valid_to", "lasts"),
    )
