"""Recent log-in attempts, counted in PostgreSQL so that the limit does not depend on Redis."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class LoginAttempt(Base):
    """The counter of one subject, such as "address:192.0.2.1" or "password:7", in one time window."""

    __tablename__ = "login_attempts"

    subject: Mapped[str] = mapped_column(primary_key=True)
    window_started_at: Mapped[datetime]
    attempts: Mapped[int]

    # For sweeping counters whose window is over.
    __table_args__ = (Index(None, "window_started_at"),)
