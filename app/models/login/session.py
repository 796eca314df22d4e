"""A log-in session, from the password to the log-out. Access and refresh tokens belong to it."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

# A refresh token that was just used gets the same answer for this long.
REPEAT_TIME = timedelta(seconds=10)


class LoginSession(Base):
    """Refresh tokens rotate: only `refresh_id` is valid, and any other one ends the session (RFC 9700 §4.14).

    The token before it, `previous_refresh_id`, gets the same successor for a short time after `refreshed_at`.
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
        # For ending all open sessions of a user.
        Index("ix_sessions_user_id_open", "user_id", postgresql_where=text("ended_at IS NULL")),
    )

    def is_open(self, at: datetime) -> bool:
        return self.ended_at is None and at < self.expires_at

    def refresh(self, refresh_id: UUID, *, successor: UUID, at: datetime) -> bool:
        """Exchange the token `refresh_id` for `successor`. False if the token is not valid.

        A client that asks twice at once, or again because the answer was lost, gets the successor twice. Once the
        successor was used, its predecessor is no longer accepted, so two holders cannot both continue.
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
