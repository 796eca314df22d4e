"""The SQL of log-ins: sessions, and how often somebody tried of late."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Delete, case, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models.login_attempt import LoginAttempt
from app.models.session import LoginSession


class SessionRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, login_session: LoginSession) -> None:
        self._session.add(login_session)

    def get(self, session_id: UUID) -> LoginSession | None:
        return self._session.get(LoginSession, session_id, populate_existing=True)

    def get_for_update(self, session_id: UUID) -> LoginSession | None:
        return self._session.get(LoginSession, session_id, with_for_update=True, populate_existing=True)

    def end_all_of(self, user_id: int, *, at: datetime, but: UUID | None = None) -> None:
        statement = update(LoginSession).where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None))
        if but is not None:
            statement = statement.where(LoginSession.id != but)
        self._session.execute(statement.values(ended_at=at))

    def delete_expired(self, *, before: datetime, limit: int) -> int:
        """Up to `limit` of them; return how many there were."""
        expired = select(LoginSession.id).where(LoginSession.expires_at < before).limit(limit)
        return _delete(self._session, delete(LoginSession).where(LoginSession.id.in_(expired)))


class LoginAttemptRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def count(self, subject: str, *, at: datetime, window: timedelta) -> tuple[int, datetime]:
        """Count one more attempt; return how many the window has now and when it began. Atomic: one statement."""
        is_over = LoginAttempt.window_started_at <= at - window
        statement = (
            insert(LoginAttempt)
            .values(subject=subject, window_started_at=at, attempts=1)
            .on_conflict_do_update(
                index_elements=[LoginAttempt.subject],
                set_={
                    "attempts": case((is_over, 1), else_=LoginAttempt.attempts + 1),
                    "window_started_at": case((is_over, at), else_=LoginAttempt.window_started_at),
                },
            )
            .returning(LoginAttempt.attempts, LoginAttempt.window_started_at)
        )
        attempts, window_started_at = self._session.execute(statement).one()
        return attempts, window_started_at

    def forgive(self, subject: str) -> None:
        self._session.execute(delete(LoginAttempt).where(LoginAttempt.subject == subject))

    def delete_over(self, *, before: datetime, limit: int) -> int:
        """Up to `limit` of them; return how many there were."""
        over = select(LoginAttempt.subject).where(LoginAttempt.window_started_at < before).limit(limit)
        return _delete(self._session, delete(LoginAttempt).where(LoginAttempt.subject.in_(over)))


def _delete(session: Session, statement: Delete) -> int:
    outcome = session.execute(statement, execution_options={"synchronize_session": False})
    return int(outcome.rowcount)  # type: ignore[attr-defined]
