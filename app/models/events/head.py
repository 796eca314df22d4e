"""The position of the last event of the feed."""

from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class EventHead(Base):
    """The only row. Whoever numbers events holds its lock."""

    __tablename__ = "event_head"

    id: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    position: Mapped[int]

    __table_args__ = (CheckConstraint("id", "one_row"),)
