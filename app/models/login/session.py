"""One log-in, from the password to the log-out: what access and refresh tokens stand on."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

# How long a refresh token that was just used still gets the same answer.
REPEAT_TIME = timedelta(seconds=10)


class LoginSession(Base):
    """Refresh tokens rotate: only `refresh_id` is valid, and any other one ends the session (RFC 9700 §4.14).

    The one before it, `previous_refresh_id`, still gets the same successor for a moment after `refreshed_at`.
    """

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    refresh_id: Mapped[UUID]
    previous_refresh_id: Mapped[UUID | None]
    refreshed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        # Ending all of a user's sessions, and only those still open.
        Index("ix_sessions_user_id_open", "user_id", postgresql_where=text("ended_at IS NULL")),
    )

    def is_open(self, at: datetime) -> bool:
        return self.ended_at is None and at < self.expires_at

    def refresh(self, refresh_id: UUID, *, successor: UUID, at: datetime) -> bool:
        """Whether the token may be exchanged; then `refresh_id` is its successor.

        A client that asks twice at once, or again because the answer was lost, gets the successor twice. Once the
        successor itself was used, its predecessor is no longer accepted: two holders cannot go on side by side.
        """
        if refresh_id == self.refresh_id:
            self.previous_refresh_id, self.refresh_id, self.refreshed_at = refresh_id, successor, at
            return True
        return (
            refresh_id == self.previous_refresh_id
            and self.refreshed_at is not None
            and self.refreshed_at <= at < self.refreshed_at + REPEAT_TIME
        )

    def end(self, at: datetime) -> None:
        if self.ended_at is None:
            self.ended_at = at
