"""How often attempts at an account failed from a network, and when the next one is let through to the password."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class LoginWait(Base):
    """Once `until` is over, one attempt is let through, whatever other networks did to the account meanwhile."""

    __tablename__ = "login_waits"

    account: Mapped[str] = mapped_column(primary_key=True)
    network: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    failed_at: Mapped[datetime | None]
    until: Mapped[datetime]

    # Finding the waits that nobody came back for, to sweep them away.
    __table_args__ = (Index(None, "until"),)
