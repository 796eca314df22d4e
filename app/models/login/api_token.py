"""API tokens: what scripts send in place of a log-in. Each belongs to a user and may do a part of what the user may."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

MAX_TOKEN_NAME_LENGTH = 100


class TokenScope(StrEnum):
    """A part of the API. `auth/permissions.py` says which permissions belong to it."""

    TASKS_READ = "tasks:read"
    TASKS_WRITE = "tasks:write"
    IMPORTS_WRITE = "imports:write"
    LOGS_READ = "logs:read"
    USERS_ADMIN = "users:admin"


class ApiToken(Base):
    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    # The SHA-256 of the token, which itself is stored nowhere.
    digest: Mapped[bytes]
    # Text, and not an enum of PostgreSQL: the release before ignores a scope that it does not know.
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    # Written at most once a minute. None for a token that nobody has used.
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        # Every request with a token finds it by this index.
        Index("uq_api_tokens_digest", "digest", unique=True),
        # For listing the tokens of a user.
        Index(None, "owner_id"),
        CheckConstraint(f"char_length(name) BETWEEN 1 AND {MAX_TOKEN_NAME_LENGTH}", "name_length"),
        CheckConstraint("octet_length(digest) = 32", "digest_length"),
        CheckConstraint("cardinality(scopes) > 0", "has_scopes"),
    )

    def revoke(self, at: datetime) -> None:
        if self.revoked_at is None:
            self.revoked_at = at
