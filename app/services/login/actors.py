"""Who is behind a token now: their role and projects, while their session is open or their API token is valid."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from app.auth.actor import Actor
from app.auth.tokens import TokenInvalidError
from app.cache import CacheView, Space
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import SessionEndedError, UnavailableError
from app.repositories.login.api_tokens import ApiTokenRepository
from app.repositories.login.sessions import SessionRepository

# How long a cached actor may outlive its session or API token if Redis was unavailable when that ended.
TTL_SECONDS = 5
# The use of an API token is noted at most this often.
USE_INTERVAL = timedelta(minutes=1)


class ActorService:
    def __init__(
        self,
        uow: UnitOfWork,
        sessions: SessionRepository,
        tokens: ApiTokenRepository,
        cache: CacheView,
        clock: Clock,
    ) -> None:
        self._uow = uow
        self._sessions = sessions
        self._tokens = tokens
        self._cache = cache
        self._now = clock

    def get(self, *, session_id: UUID, user_id: int) -> Actor:
        """The actor of an access token. Raises SessionEndedError if the session has ended or the user is inactive."""
        cached = self._cache.remember(
            (Space.ACTORS,),
            # Other releases cache actors in other formats under `actor|`, `named_actor|` and `scoped_actor|`, and two
            # releases run during an upgrade.
            f"session_actor|{session_id}|{user_id}",
            lambda: self._load(session_id, user_id).to_json(),
            ttl_seconds=TTL_SECONDS,
        )
        return Actor.from_json(cached.value)

    def get_owner(self, token_digest: bytes) -> Actor:
        """The owner of an API token, limited to its scopes.

        Raises TokenInvalidError if there is no such token, if it has expired or was revoked, and if its owner is
        inactive: whoever holds the token does not learn which.
        """
        cached = self._cache.remember(
            (Space.ACTORS,),
            # Another release caches owners in another format under `token_owner|`.
            f"token_actor|{token_digest.hex()}",
            lambda: self._load_owner(token_digest),
            ttl_seconds=TTL_SECONDS,
        )
        expires_at, actor = cached.value.split(b"\n", 1)
        # The token may have expired since its owner was cached.
        if float(expires_at) <= self._now().timestamp():
            raise TokenInvalidError("the token is invalid")
        return Actor.from_json(actor)

    def _load(self, session_id: UUID, user_id: int) -> Actor:
        with self._uow.single_statements():
            row = self._sessions.get_with_user(session_id, user_id)
        if row is None or not row.LoginSession.is_open(self._now()):
            raise SessionEndedError("the session has ended; log in again")
        if not row.is_active:
            raise SessionEndedError("the account is not active")
        return Actor(
            user_id,
            row.username,
            row.role,
            frozenset(row.project_ids),
            session_id,
            archived_project_ids=frozenset(row.archived_project_ids),
        )

    def _load_owner(self, token_digest: bytes) -> bytes:
        """When the token expires, and its owner. Most requests find both in the cache, so only some note the use."""
        now = self._now()
        with self._uow.single_statements():
            token = self._tokens.find_valid(token_digest, at=now)
        if token is None:
            raise TokenInvalidError("the token is invalid")
        if token.last_used_at is None or token.last_used_at <= now - USE_INTERVAL:
            # A database that can only be read, because its disk is full, must not stop those who only read.
            with suppress(UnavailableError), self._uow.single_statements():
                self._tokens.note_use(token.id, at=now, unless_since=now - USE_INTERVAL)
        return b"%r\n%s" % (token.expires_at.timestamp(), token.owner.to_json())
