"""Who is behind an access token now: their role and projects, while their session is open."""

from uuid import UUID

from app.auth.actor import Actor
from app.cache import CacheView, Space
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import SessionEndedError
from app.repositories.login.sessions import SessionRepository

# How long a cached actor may outlive its session if Redis was unavailable when the session ended.
TTL_SECONDS = 5


class ActorService:
    def __init__(self, uow: UnitOfWork, sessions: SessionRepository, cache: CacheView, clock: Clock) -> None:
        self._uow = uow
        self._sessions = sessions
        self._cache = cache
        self._now = clock

    def get(self, *, session_id: UUID, user_id: int) -> Actor:
        """The actor of an access token. Raises SessionEndedError if the session has ended or the user is inactive."""
        cached = self._cache.remember(
            (Space.ACTORS,),
            # Another release caches actors in another format under `actor|`, and two releases run during an upgrade.
            f"named_actor|{session_id}|{user_id}",
            lambda: self._load(session_id, user_id).to_json(),
            ttl_seconds=TTL_SECONDS,
        )
        return Actor.from_json(cached.value)

    def _load(self, session_id: UUID, user_id: int) -> Actor:
        with self._uow.single_statements():
            row = self._sessions.get_with_user(session_id, user_id)
        if row is None or not row.LoginSession.is_open(self._now()):
            raise SessionEndedError("the session has ended; log in again")
        if not row.is_active:
            raise SessionEndedError("the account is not active")
        return Actor(user_id, row.username, row.role, frozenset(row.project_ids), session_id)
