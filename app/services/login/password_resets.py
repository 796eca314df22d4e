"""Password resets: an admin or the operator makes one for a user, who sets a new password with its token, once."""

import hmac
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.auth.actor import Actor
from app.auth.password_rules import PasswordRules
from app.auth.passwords import hash_password
from app.auth.permissions import Permission, ensure_may
from app.auth.reset_tokens import digest_of_text, new_reset_token
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import ResetTokenInvalidError, not_found
from app.events import UserChanged
from app.models.people.user import User
from app.repositories.login.password_resets import PasswordResetRepository
from app.repositories.login.sessions import SessionRepository
from app.repositories.people import UserRepository
from app.services.login.limits import LogInLimits
from app.services.people import ensure_allowed, ensure_can_log_in

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResetPolicy:
    lifetime: timedelta
    password_rules: PasswordRules


@dataclass(frozen=True, slots=True)
class MadeReset:
    """A new reset. The token is shown only now."""

    token: str
    expires_at: datetime


class PasswordResetService:
    def __init__(
        self,
        uow: UnitOfWork,
        resets: PasswordResetRepository,
        users: UserRepository,
        sessions: SessionRepository,
        limits: LogInLimits,
        clock: Clock,
        policy: ResetPolicy,
    ) -> None:
        self._uow = uow
        self._resets = resets
        self._users = users
        self._sessions = sessions
        self._limits = limits
        self._now = clock
        self._policy = policy

    def make(self, actor: Actor, user_id: int) -> MadeReset:
        """Make a reset for a user, in place of an earlier one. Raises CannotLogInError if the user cannot log in.

        The old password and the user's sessions stay valid until the reset is used.
        """
        ensure_may(actor, Permission.PASSWORD_RESET)
        with self._uow.transaction():
            user = self._users.get_for_update(user_id) or not_found("user", user_id)
            made = self._make(user)
        _log_made(actor, user)
        return made

    def make_for_name(self, actor: Actor, username: str) -> MadeReset:
        ensure_may(actor, Permission.PASSWORD_RESET)
        with self._uow.transaction():
            named = self._users.get_by_username(username) or not_found("user", username)
            user = self._users.get_for_update(named.id) or not_found("user", username)
            made = self._make(user)
        _log_made(actor, user)
        return made

    def spend(self, *, token: str, new_password: str, address: str) -> None:
        """Set the password of the token's user, and end all of their sessions.

        Counts as a log-in attempt of the address. An unknown, a spent and an expired token fail with the same error. A
        password that the rules refuse does not spend the token.
        """
        too_many = self._limits.count_network(address)
        if too_many is not None:
            raise too_many
        digest = digest_of_text(token)
        # Hashed before the token is looked up, so the time does not tell whether there is such a token.
        password_hash = hash_password(new_password)
        with self._uow.transaction():
            user_id = self._resets.find_user_id(digest, at=self._now())
            user = self._users.get_for_update(user_id) if user_id is not None else None
            if user is None or not self._is_replaced_by(user, digest):
                raise ResetTokenInvalidError.of("token", "is not valid, was used already, or has expired")
            rules = self._policy.password_rules
            ensure_allowed(rules, new_password, user.username, user.email, field="new_password")
            user.password_hash, user.updated_at = password_hash, self._now()
            self._sessions.end_all_of(user.id, at=self._now())
            self._limits.forget_other_networks(address, user.id)
            self._uow.publish(UserChanged(user.id))
        logger.info("password reset", extra={"user_id": user.id, "address": address})

    def _make(self, user: User) -> MadeReset:
        password_hash = ensure_can_log_in(user)
        now, token = self._now(), new_reset_token()
        expires_at = now + self._policy.lifetime
        self._resets.put(
            user.id,
            digest_of_text(token),
            replaced_hash_digest=digest_of_text(password_hash),
            created_at=now,
            expires_at=expires_at,
        )
        return MadeReset(token, expires_at)

    def _is_replaced_by(self, user: User, digest: bytes) -> bool:
        """Take the reset. False if it is gone, or was made for another password, or if the user cannot log in."""
        replaced = self._resets.take(user.id, digest)
        if replaced is None or user.password_hash is None or not user.is_active:
            return False
        return hmac.compare_digest(replaced, digest_of_text(user.password_hash))


def _log_made(actor: Actor, user: User) -> None:
    logger.info("password reset made", extra={"user_id": actor.user_id, "for_user_id": user.id})
