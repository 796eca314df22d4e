"""The outbox: events without a position in the feed yet. Triggers write them in the transactions of the changes."""

from datetime import datetime
from typing import Any

from sqlalchemy import Identity, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class OutboxEvent(Base):
    """An event as its writer knows it. `number_events` moves it into the feed, soon after its commit."""

    __tablename__ = "event_outbox"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str]
    project_id: Mapped[int | None]
    task_id: Mapped[int | None]
    revision: Mapped[int | None]
    user_id: Mapped[int | None]
    subject_id: Mapped[int | None]
    actor_id: Mapped[int | None]
    request_id: Mapped[str | None]
    occurred_at: Mapped[datetime] = mapped_column(server_default=text("record_now()"))
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
