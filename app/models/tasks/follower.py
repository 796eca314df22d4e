"""Who follows a task, beside its creator and its assignee."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, word_enum


class FollowReason(StrEnum):
    FOLLOWED = "followed"
    COMMENTED = "commented"
    MENTIONED = "mentioned"
    WAS_ASSIGNED = "was_assigned"


class TaskFollower(Base):
    """A user who follows a task for a reason of its own, or who has left it.

    The creator and the assignee follow without a row. Triggers write the rows of former assignees, of people who
    comment and of people who are mentioned. There is no foreign key to users: see docs/adr/028.
    """

    __tablename__ = "task_followers"

    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(primary_key=True)
    # False for somebody who has left.
    is_following: Mapped[bool]
    since: Mapped[datetime] = mapped_column(server_default=text("record_now()"))
    reason: Mapped[FollowReason] = mapped_column(
        word_enum(FollowReason, "follow_reason"), server_default=text("'followed'")
    )

    # For a merge, which moves what a user follows.
    __table_args__ = (Index(None, "user_id"),)
