"""API tokens: users make and revoke their own, and admins make those of service accounts and revoke everybody's."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.auth.actor import Actor
from app.auth.api_tokens import digest_of, new_token
from app.auth.permissions import Permission, ensure_may
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import ConflictError, InvalidError, NotAServiceAccountError, TooManyTokensError, not_found
from app.events import TokenRevoked
from app.models.login.api_token import ApiToken, TokenScope
from app.queries.pages import JsonRow, Page
from app.repositories.login.api_tokens import ApiTokenRepository
from app.repositories.people import UserRepository

logger = logging.getLogger(__name__)

# A forgotten token ends by itself. This is also the lifetime of a token for which nobody names another one.
MAX_LIFETIME = timedelta(days=365)
MAX_VALID_TOKENS = 50


@dataclass(frozen=True, slots=True)
class MadeToken:
    """A new token, which is shown only now, and its row."""

    token: str
    row: JsonRow


class ApiTokenService:
    def __init__(self, uow: UnitOfWork, tokens: ApiTokenRepository, users: UserRepository, clock: Clock) -> None:
        self._uow = uow
        self._tokens = tokens
        self._users = users
        self._now = clock

    def create(
        self,
        actor: Actor,
        owner_id: int,
        *,
        name: str,
        scopes: Collection[TokenScope],
        expires_at: datetime | None = None,
    ) -> MadeToken:
        """Make a token for oneself, or for a service account. Without `expires_at` it lives for MAX_LIFETIME.

        An admin makes no token for another person: its holder would act under that person's name.
        """
        _ensure_may(actor, owner_id)
        now = self._now()
        expires_at = now + MAX_LIFETIME if expires_at is None else expires_at
        if not now < expires_at <= now + MAX_LIFETIME:
            raise InvalidError.of("expires_at", f"must be in the future, and at most {MAX_LIFETIME.days} days away")
        token = new_token()
        with self._uow.transaction():
            # The lock makes two requests at once count one after the other.
            owner = self._users.get_for_update(owner_id) or not_found("user", owner_id)
            if owner_id != actor.user_id and not owner.is_service:
                raise NotAServiceAccountError("others make their tokens themselves; an admin makes a service account's")
            if not owner.is_active:
                raise ConflictError("the account is not active")
            if self._tokens.count_valid(owner_id, at=now) >= MAX_VALID_TOKENS:
                raise TooManyTokensError(f"there are {MAX_VALID_TOKENS} valid tokens; revoke one of them first")
            made = ApiToken(
                owner_id=owner_id,
                name=name,
                digest=digest_of(token),
                scopes=sorted({scope.value for scope in scopes}),
                created_at=now,
                expires_at=expires_at,
            )
            self._tokens.add(made)
            row = self._tokens.get_row(made.id)
        logger.info("API token made", extra={"user_id": actor.user_id, "token_id": made.id})
        return MadeToken(token, row)

    def list_page(self, actor: Actor, owner_id: int, *, cursor: str | None, limit: int) -> Page:
        """List the tokens of a user by id, including those that expired or were revoked lately."""
        _ensure_may(actor, owner_id)
        with self._uow.transaction():
            if self._users.get(owner_id) is None:
                not_found("user", owner_id)
            return self._tokens.list_page(owner_id, cursor=cursor, limit=limit)

    def revoke(self, actor: Actor, owner_id: int, token_id: int) -> None:
        """Revoke a token of this owner. Revoking it again changes nothing."""
        _ensure_may(actor, owner_id)
        with self._uow.transaction():
            token = self._tokens.get_for_update(owner_id, token_id) or not_found("token", token_id)
            token.revoke(self._now())
            self._uow.publish(TokenRevoked(token_id))
        logger.info("API token revoked", extra={"user_id": actor.user_id, "token_id": token_id})


def _ensure_may(actor: Actor, owner_id: int) -> None:
    """Everybody manages their own tokens, and admins those of others."""
    ensure_may(actor, Permission.TOKEN_OWN if owner_id == actor.user_id else Permission.TOKEN_MANAGE)
