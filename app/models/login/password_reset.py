"""A password reset: what lets a user who forgot their password set a new one, once."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class PasswordReset(Base):
    """A user has at most one: a new one replaces it, and using it deletes it."""

    __tablename__ = "password_resets"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    # The SHA-256 of the token, which itself is stored nowhere.
    digest: Mapped[bytes]
    # The SHA-256 of the password hash that it replaces. Once the password was changed in another way, it is not valid.
    replaced_hash_digest: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]

    __table_args__ = (
        Index("uq_password_resets_digest", "digest", unique=True),
        CheckConstraint("octet_length(digest) = 32", "digest_length"),
    )
