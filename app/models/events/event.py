"""The feed: events with dense positions, in the order in which their changes became visible."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class NumberedEvent(Base):
    """An event points to what has changed and does not hold it: a task's version is in the history.

    `revision` is that of the task, or the version of the comment that `subject_id` names. For a member who came or
    went, `subject_id` is the user. An event with a `user_id` is for that user alone. One without a project is for
    everybody. There are no foreign keys: an event outlives what it points to.
    """

    __tablename__ = "events"

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    project_id: Mapped[int | None]
    # The project that the task has left with this change.
    previous_project_id: Mapped[int | None]
    task_id: Mapped[int | None]
    revision: Mapped[int | None]
    # The names of the changed columns.
    changed: Mapped[list[str] | None]
    user_id: Mapped[int | None]
    subject_id: Mapped[int | None]
    actor_id: Mapped[int | None]
    request_id: Mapped[str | None]
    occurred_at: Mapped[datetime]
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    numbered_at: Mapped[datetime] = mapped_column(server_default=text("record_now()"))
