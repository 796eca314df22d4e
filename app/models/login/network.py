"""The networks that each user logged in from. Failed attempts from other networks do not delay log-ins from these."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class LoginNetwork(Base):
    __tablename__ = "login_networks"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    # A keyed hash, so the table does not reveal where users were.
    network: Mapped[str] = mapped_column(primary_key=True)
    last_used_at: Mapped[datetime]

    # For sweeping networks that have not been used for long.
    __table_args__ = (Index(None, "last_used_at"),)
