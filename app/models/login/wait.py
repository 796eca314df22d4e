"""Failed attempts at an account from one network, and the time of the next attempt that may try a password."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class LoginWait(Base):
    """After `until`, one attempt is let through, whatever other networks did to the account meanwhile."""

    __tablename__ = "login_waits"

    account: Mapped[str] = mapped_column(primary_key=True)
    network: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    failed_at: Mapped[datetime | None]
    until: Mapped[datetime]

    # For sweeping waits that ended long ago.
    __table_args__ = (Index(None, "until"),)
