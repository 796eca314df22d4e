"""The answers to requests with an idempotency key, kept so that a repeated request gets the same answer."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, SmallInteger, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class KeptAnswer(Base):
    """It is written in the transaction of the request's effect: either both exist, or neither does."""

    __tablename__ = "kept_answers"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    # A digest of the method, the path, the query and the body.
    fingerprint: Mapped[bytes]
    status: Mapped[int] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    body: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    # For sweeping answers that are no longer repeated.
    __table_args__ = (Index(None, "created_at"),)
