"""One log-in, from the password to the log-out: what access and refresh tokens stand on."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class LoginSession(Base):
    """Refresh tokens rotate: only `refresh_id` is good, and any other one ends the session (RFC 9700 §4.14)."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    refresh_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        # Ending all of a user's sessions, and only those still open.
        Index("ix_sessions_user_id_open", "user_id", postgresql_where=text("ended_at IS NULL")),
    )

    def is_open(self, at: datetime) -> bool:
        return self.ended_at is None and at < self.expires_at

    def end(self, at: datetime) -> None:
        if self.ended_at is None:
            self.ended_at = at
