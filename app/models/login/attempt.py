"""How often somebody tried to log in of late; in PostgreSQL, so that the limit holds whatever becomes of Redis."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class LoginAttempt(Base):
    """One counter for a subject ("address:192.0.2.1", "failures:user:7") and the window it counts in."""

    __tablename__ = "login_attempts"

    subject: Mapped[str] = mapped_column(primary_key=True)
    window_started_at: Mapped[datetime]
    attempts: Mapped[int]

    # Finding the counters that are over, to sweep them away.
    __table_args__ = (Index(None, "window_started_at"),)
