"""A comment on a task, and the rules that concern only one comment."""

from datetime import datetime

from sqlalchemy import CheckConstraint, FetchedValue, ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

MAX_BODY_LENGTH = 20_000
# The people whom one comment may mention. Each of them hears of it.
MAX_MENTIONS = 50


class Comment(Base):
    """Triggers keep `version`, `revised_at` and `edited_at`, and write each version."""

    __tablename__ = "comments"
    # A change needs an actor for the versions. A session refuses to flush a change without one.
    keeps_history = True

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    # The Markdown as it was written, and the HTML that `app/markdown.py` made of it.
    body: Mapped[str]
    body_html: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    edited_at: Mapped[datetime | None] = mapped_column(server_onupdate=FetchedValue())
    deleted_at: Mapped[datetime | None]
    deleted_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    version: Mapped[int] = mapped_column(server_default=text("1"), server_onupdate=FetchedValue())
    revised_at: Mapped[datetime] = mapped_column(server_default=text("record_now()"), server_onupdate=FetchedValue())

    __table_args__ = (
        # For the list of a task's comments, and for the check when a task is removed.
        Index("ix_comments_task_id_created_at", "task_id", "created_at", "id"),
        # For a merge, which moves the comments of a user.
        Index(None, "author_id"),
        CheckConstraint(f"char_length(body) BETWEEN 1 AND {MAX_BODY_LENGTH}", "body_length"),
    )


class CommentMention(Base):
    """A version of a comment mentions a user. An edited comment has new rows, and those of earlier versions stay."""

    __tablename__ = "comment_mentions"

    comment_id: Mapped[int] = mapped_column(ForeignKey("comments.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)

    # For finding where somebody was mentioned. The primary key finds whom a comment mentions.
    __table_args__ = (Index(None, "user_id"),)
