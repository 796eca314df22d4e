"""From which networks each user has logged in, so that strangers' failures elsewhere do not keep them waiting there."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class LoginNetwork(Base):
    __tablename__ = "login_networks"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    # A keyed hash: the table does not say where people were.
    network: Mapped[str] = mapped_column(primary_key=True)
    last_used_at: Mapped[datetime]

    # Finding the networks that were not used for long, to sweep them away.
    __table_args__ = (Index(None, "last_used_at"),)
