"""How users authenticate: registering, logging in and out, refreshing tokens, changing the password."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from app.auth.actor import Actor
from app.auth.networks import network_of
from app.auth.password_rules import PasswordRules
from app.auth.passwords import hash_password, is_password, needs_rehash
from app.auth.tokens import Grant
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import (
    InvalidError,
    RefreshTokenReusedError,
    RegistrationClosedError,
    SessionEndedError,
    TooManyRequestsError,
    WrongCredentialsError,
    not_found,
)
from app.events import SessionEnded, UserChanged
from app.models.login.session import LoginSession
from app.models.people.user import Role, User
from app.queries.pages import VersionedRow
from app.repositories.login.api_tokens import ApiTokenRepository
from app.repositories.login.sessions import SessionRepository
from app.repositories.people import UserRepository
from app.services.login.limits import LogInLimits
from app.services.people import ensure_allowed

logger = logging.getLogger(__name__)

# How long one sweep runs before it leaves the rest to the next, and how many rows one transaction deletes.
SWEEP_SLICE = timedelta(seconds=20)
SWEEP_BATCH_ROWS = 10_000
# How long a list still shows an API token that expired or was revoked.
ENDED_TOKEN_TIME = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class AuthenticationPolicy:
    session_lifetime: timedelta
    is_registration_open: bool
    password_rules: PasswordRules


class AuthenticationService:
    def __init__(
        self,
        uow: UnitOfWork,
        users: UserRepository,
        sessions: SessionRepository,
        tokens: ApiTokenRepository,
        limits: LogInLimits,
        clock: Clock,
        policy: AuthenticationPolicy,
    ) -> None:
        self._uow = uow
        self._users = users
        self._sessions = sessions
        self._tokens = tokens
        self._limits = limits
        self._now = clock
        self._policy = policy

    def register(self, *, username: str, email: str, password: str, address: str) -> VersionedRow:
        """Create an account with the role `user`. Only an admin can give it another role."""
        if not self._policy.is_registration_open:
            raise RegistrationClosedError("registration is closed; ask an admin for an account")
        self._limits.count("registration", f"registration:{network_of(address)}")
        ensure_allowed(self._policy.password_rules, password, username, email)
        password_hash = hash_password(password)
        with self._uow.transaction():
            user = User(username=username, email=email, password_hash=password_hash, role=Role.USER)
            self._users.add(user)
            self._uow.publish(UserChanged(user.id))
            return self._users.get_row(user.id) or not_found("user", user.id)

    def log_in(self, *, login: str, password: str, address: str, is_limit_fixed: bool = False) -> Grant:
        """Log in by username or email.

        An unknown name, a wrong password and an inactive account fail with the same error, equally slowly. The name of
        a service account counts as unknown. With
        `is_limit_fixed`, the limit of a network also applies to users who are known from it.
        """
        too_many = self._limits.count_network(address)
        if too_many is not None and is_limit_fixed:
            _log_log_in("refused by address", None, address)
            raise too_many
        with self._uow.single_statements():
            user = self._users.get_by_login(login)
        password_hash = user.password_hash if user is not None and user.is_active else None
        try:
            attempt = self._limits.admit(
                address, user_id=user.id if user is not None else None, login=login, too_many=too_many
            )
        except TooManyRequestsError:
            _log_log_in("told to wait", user, address)
            raise
        # Hashing takes tens of milliseconds, so no connection is held meanwhile.
        if not is_password(password, password_hash) or user is None or password_hash is None:
            _log_log_in(_failure(user), user, address)
            raise too_many or WrongCredentialsError("the username or password is wrong")
        if needs_rehash(password_hash):
            password_hash = self._rehash(user.id, password, password_hash)
        now = self._now()
        login_session = LoginSession(
            id=uuid4(), user_id=user.id, refresh_id=uuid4(), expires_at=now + self._policy.session_lifetime
        )
        with self._uow.single_statements():
            is_begun = self._sessions.begin(
                login_session,
                password_hash=password_hash,
                account=attempt.account,
                network=attempt.network,
                counter=attempt.counter,
                at=now,
            )
        if not is_begun:
            raise WrongCredentialsError("the username or password is wrong")
        _log_log_in("succeeded", user, address)
        return _grant(login_session)

    def _rehash(self, user_id: int, password: str, old_hash: str) -> str:
        """Hash a password as it is done today, and return the new hash. Nothing happens if the password has changed."""
        new_hash = hash_password(password)
        with self._uow.single_statements():
            self._users.replace_hash(user_id, old_hash, new_hash)
        return new_hash

    def refresh(self, *, session_id: UUID, refresh_id: UUID) -> Grant:
        """Exchange a refresh token for the next one.

        A token that was exchanged before ends the session, unless it is repeated within seconds: see
        `LoginSession.refresh`.
        """
        with self._uow.transaction():
            login_session = self._sessions.get_for_update(session_id)
            if login_session is None or not login_session.is_open(self._now()):
                raise SessionEndedError("the session has ended; log in again")
            user = self._users.get(login_session.user_id)
            is_reused = not login_session.refresh(refresh_id, successor=uuid4(), at=self._now())
            if is_reused or user is None or not user.is_active:
                login_session.end(self._now())
                self._uow.publish(SessionEnded(session_id))
        if is_reused:
            logger.warning(
                "session %s ended: its refresh token was used twice",
                session_id,
                extra={"user_id": login_session.user_id},
            )
            raise RefreshTokenReusedError("the refresh token was used before, so the session has ended; log in again")
        if login_session.ended_at is not None:
            raise SessionEndedError("the session has ended; log in again")
        return _grant(login_session)

    def log_out(self, actor: Actor) -> None:
        """End the session that the actor is logged in with, if there is one."""
        if actor.session_id is None:
            return
        with self._uow.transaction():
            login_session = self._sessions.get_for_update(actor.session_id)
            if login_session is not None:
                login_session.end(self._now())
            self._uow.publish(SessionEnded(actor.session_id))

    def change_password(self, actor: Actor, *, current_password: str, new_password: str, address: str) -> None:
        """Change the actor's password, and end all of their other sessions."""
        too_many = self._limits.count_network(address)
        if too_many is not None:
            raise too_many
        self._limits.count("log-in", f"password:{actor.user_id}")
        with self._uow.transaction():
            user = self._users.get(actor.user_id)
            password_hash = user.password_hash if user is not None else None
        if user is None or not is_password(current_password, password_hash):
            raise InvalidError.of("current_password", "is not your password")
        ensure_allowed(self._policy.password_rules, new_password, user.username, user.email, field="new_password")
        new_hash = hash_password(new_password)
        with self._uow.transaction():
            user = self._users.get_for_update(actor.user_id)
            if user is None or user.password_hash != password_hash:
                raise InvalidError.of("current_password", "is not your password")
            user.password_hash = new_hash
            user.updated_at = self._now()
            self._sessions.end_all_of(user.id, at=self._now(), except_id=actor.session_id)
            self._limits.forget_other_networks(address, user.id)
            self._uow.publish(UserChanged(user.id))

    def sweep(self) -> None:
        """Delete obsolete sessions, API tokens, counters, waits and known networks in batches, for a limited time."""
        until = self._now() + SWEEP_SLICE
        is_more = True
        while is_more and self._now() < until:
            with self._uow.transaction():
                sessions = self._sessions.delete_expired(before=self._now(), limit=SWEEP_BATCH_ROWS)
                ended = self._now() - ENDED_TOKEN_TIME
                tokens = self._tokens.delete_ended(before=ended, limit=SWEEP_BATCH_ROWS)
                others = self._limits.sweep(limit=SWEEP_BATCH_ROWS)
            is_more = SWEEP_BATCH_ROWS in {sessions, tokens, others}


def _grant(login_session: LoginSession) -> Grant:
    return Grant(login_session.user_id, login_session.id, login_session.refresh_id, login_session.expires_at)


def _failure(user: User | None) -> str:
    if user is None:
        return "unknown name"
    return "wrong password" if user.is_active else "inactive account"


def _log_log_in(outcome: str, user: User | None, address: str) -> None:
    """An unknown name is not logged, because it may be a password that was typed into the wrong field."""
    user_fields = {"user_id": user.id, "username": user.username} if user is not None else {}
    logger.info("log-in", extra={"outcome": outcome, "address": address, **user_fields})
