"""The sessions of a user: what somebody who suspects a stranger looks at and ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.auth.actor import Actor
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import not_found
from app.events import SessionEnded, UserChanged
from app.repositories.login.sessions import SessionRepository


@dataclass(frozen=True, slots=True)
class OpenSession:
    """`last_refreshed_at` is None before the first refresh."""

    id: UUID
    created_at: datetime
    last_refreshed_at: datetime | None
    expires_at: datetime
    is_current: bool


class SessionService:
    def __init__(self, uow: UnitOfWork, sessions: SessionRepository, clock: Clock) -> None:
        self._uow = uow
        self._sessions = sessions
        self._now = clock

    def list_open(self, actor: Actor) -> Sequence[OpenSession]:
        """List the actor's own sessions, newest first."""
        with self._uow.single_statements():
            rows = self._sessions.list_open_of(actor.user_id, at=self._now())
        return [
            OpenSession(row.id, row.created_at, row.refreshed_at, row.expires_at, row.id == actor.session_id)
            for row in rows
        ]

    def end(self, actor: Actor, session_id: UUID) -> None:
        """End one of the actor's own sessions. Raises NotFoundError for any other, and for one that has ended."""
        with self._uow.transaction():
            row = self._sessions.get_for_update(session_id)
            if row is None or row.user_id != actor.user_id or not row.is_open(self._now()):
                not_found("session", session_id)
            row.end(self._now())
            self._uow.publish(SessionEnded(session_id))

    def end_all(self, actor: Actor) -> None:
        """End all sessions of the actor, including the one that asks for it."""
        with self._uow.transaction():
            self._sessions.end_all_of(actor.user_id, at=self._now())
            self._uow.publish(UserChanged(actor.user_id))
