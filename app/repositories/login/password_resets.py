"""The SQL of password resets."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models.login.password_reset import PasswordReset


class PasswordResetRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def put(
        self, user_id: int, digest: bytes, *, replaced_hash_digest: bytes, created_at: datetime, expires_at: datetime
    ) -> None:
        """Store the user's reset in place of an earlier one. The caller has locked the user."""
        values = {
            "digest": digest,
            "replaced_hash_digest": replaced_hash_digest,
            "created_at": created_at,
            "expires_at": expires_at,
        }
        statement = insert(PasswordReset).values(user_id=user_id, **values)
        self._session.execute(statement.on_conflict_do_update(index_elements=[PasswordReset.user_id], set_=values))

    def find_user_id(self, digest: bytes, *, at: datetime) -> int | None:
        """The user of a reset that has not expired at this time. None if there is no such reset."""
        statement = select(PasswordReset.user_id).where(PasswordReset.digest == digest, PasswordReset.expires_at > at)
        return self._session.scalar(statement)

    def take(self, user_id: int, digest: bytes) -> bytes | None:
        """Delete the reset, and return its `replaced_hash_digest`. None if it is gone.

        The caller has locked the user, so of several callers at once only the first gets it.
        """
        statement = (
            delete(PasswordReset)
            .where(PasswordReset.user_id == user_id, PasswordReset.digest == digest)
            .returning(PasswordReset.replaced_hash_digest)
        )
        return self._session.scalar(statement)
