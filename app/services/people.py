"""Users: admins create and change them, managers see them, and everybody sees themselves."""

from typing import TypedDict

from app.auth.actor import Actor
from app.auth.password_rules import PasswordRules
from app.auth.passwords import hash_password
from app.auth.permissions import Permission, ensure_may, ensure_no_token, may
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import (
    AccountMergedError,
    CannotLogInError,
    ForbiddenError,
    InvalidError,
    LastAdminError,
    not_found,
)
from app.events import UserChanged
from app.models.people.user import Role, User
from app.queries.pages import Page, Precondition, VersionedRow, ensure_unchanged
from app.repositories.login.api_tokens import ApiTokenRepository
from app.repositories.login.attempts import LoginAttemptRepository
from app.repositories.login.sessions import SessionRepository
from app.repositories.people import UserRepository


class UserChanges(TypedDict, total=False):
    """The fields that an admin may change. An absent field stays as it is."""

    username: str
    email: str
    password: str
    role: Role
    time_zone: str
    is_active: bool


class UserService:
    def __init__(
        self,
        uow: UnitOfWork,
        users: UserRepository,
        sessions: SessionRepository,
        tokens: ApiTokenRepository,
        attempts: LoginAttemptRepository,
        clock: Clock,
        rules: PasswordRules,
    ) -> None:
        self._uow = uow
        self._users = users
        self._sessions = sessions
        self._tokens = tokens
        self._attempts = attempts
        self._now = clock
        self._rules = rules

    def create(
        self, actor: Actor, *, username: str, email: str, password: str, role: Role, time_zone: str = "UTC"
    ) -> VersionedRow:
        """Create a user.

        If an import has created an account with this name, and nobody has set its password, that account becomes the
        user.
        """
        ensure_may(actor, Permission.USER_MANAGE)
        _ensure_may_give(actor, role)
        ensure_allowed(self._rules, password, username, email)
        password_hash = hash_password(password)
        with self._uow.transaction():
            user = self._users.get_unclaimed_for_update(username)
            if user is None:
                user = User(username=username, email=email, password_hash=password_hash, role=role, time_zone=time_zone)
            else:
                user.username, user.email, user.password_hash = username, email, password_hash
                user.role, user.time_zone, user.is_active = role, time_zone, True
                user.updated_at = self._now()
            self._users.add(user)
            self._uow.publish(UserChanged(user.id))
            return self._row(user.id)

    def create_service_account(
        self, actor: Actor, *, username: str, role: Role, time_zone: str = "UTC"
    ) -> VersionedRow:
        """Create a user who acts by API tokens alone: without a password, nobody can log in."""
        ensure_may(actor, Permission.USER_MANAGE)
        _ensure_may_give(actor, role)
        with self._uow.transaction():
            user = User(username=username, role=role, time_zone=time_zone, is_service=True)
            self._users.add(user)
            self._uow.publish(UserChanged(user.id))
            return self._row(user.id)

    def create_first_admin(self, *, username: str, email: str, password: str) -> bool:
        """Create an admin if there is none; return True if so. Two trackers that start at once create only one."""
        ensure_allowed(self._rules, password, username, email)
        password_hash = hash_password(password)
        with self._uow.transaction():
            self._users.lock_admin_roll()
            if self._users.has_admin():
                return False
            user = User(username=username, email=email, password_hash=password_hash, role=Role.ADMIN)
            self._users.add(user)
            self._uow.publish(UserChanged(user.id))
        return True

    def has_admin(self) -> bool:
        with self._uow.transaction():
            return self._users.has_admin()

    def get(self, actor: Actor, user_id: int) -> VersionedRow:
        with self._uow.transaction():
            self._ensure_may_read(actor, user_id)
            return self._row(user_id)

    def list_page(self, actor: Actor, *, q: str | None, cursor: str | None, limit: int) -> Page:
        ensure_may(actor, Permission.USER_READ_ALL)
        with self._uow.transaction():
            return self._users.list_page(q=q, cursor=cursor, limit=limit)

    def change(
        self, actor: Actor, user_id: int, changes: UserChanges, *, may_overwrite: Precondition | None = None
    ) -> VersionedRow:
        """Change a user. A new password or a deactivation ends their sessions, and a deactivation their API tokens.

        An admin who changes their own password keeps the session that they use. Raises LastAdminError for a change that
        would leave no active admin who can log in, and AccountMergedError for an account that was merged.
        """
        ensure_may(actor, Permission.USER_MANAGE)
        if "password" in changes:
            ensure_no_token(actor, "change a password")
        _ensure_may_give(actor, changes.get("role"))
        new_hash = hash_password(changes["password"]) if "password" in changes else None
        with self._uow.transaction():
            self._users.lock_admin_roll()
            user = self._users.get_for_update(user_id) or not_found("user", user_id)
            ensure_unchanged("user", user, may_overwrite)
            if user.is_service:
                _ensure_fits_service_account(changes)
            if user.merged_into_id is not None:
                raise AccountMergedError("the account was merged into another one and stays as it is")
            was_admin = _is_admin(user)
            user.username = changes.get("username", user.username)
            user.email = changes.get("email", user.email)
            user.role = changes.get("role", user.role)
            user.time_zone = changes.get("time_zone", user.time_zone)
            if new_hash is not None:
                ensure_allowed(self._rules, changes["password"], user.username, user.email)
                user.password_hash = new_hash
                self._attempts.forget_networks_of(user_id)
            user.is_active = changes.get("is_active", user.is_active)
            if user.is_active and user.password_hash is None and not user.is_service:
                raise InvalidError.of("password", "is needed before the user can be active")
            if was_admin and not _is_admin(user) and not self._users.count_other_admins(user_id):
                raise LastAdminError("this is the last admin; make another one first")
            if new_hash is not None or not user.is_active:
                own_session = actor.session_id if user_id == actor.user_id and user.is_active else None
                self._sessions.end_all_of(user_id, at=self._now(), except_id=own_session)
            if not user.is_active:
                self._tokens.revoke_all_of(user_id, at=self._now())
            user.updated_at = self._now()
            self._users.flush()
            self._uow.publish(UserChanged(user_id))
            return self._row(user_id)

    def replace_password(self, actor: Actor, username: str, password: str) -> None:
        """Replace a lost password, and end all of the user's sessions.

        Raises CannotLogInError if the user could not log in with the new one.
        """
        ensure_may(actor, Permission.USER_MANAGE)
        password_hash = hash_password(password)
        with self._uow.transaction():
            named = self._users.get_by_username(username) or not_found("user", username)
            user = self._users.get_for_update(named.id) or not_found("user", username)
            ensure_can_log_in(user)
            ensure_allowed(self._rules, password, user.username, user.email)
            user.password_hash, user.updated_at = password_hash, self._now()
            self._sessions.end_all_of(user.id, at=self._now())
            self._attempts.forget_networks_of(user.id)
            self._users.flush()
            self._uow.publish(UserChanged(user.id))

    def deactivate(self, actor: Actor, user_id: int, *, may_overwrite: Precondition | None = None) -> None:
        """Users are never deleted, because the history names them."""
        self.change(actor, user_id, {"is_active": False}, may_overwrite=may_overwrite)

    def _ensure_may_read(self, actor: Actor, user_id: int) -> None:
        if user_id != actor.user_id and not may(actor, Permission.USER_READ_ALL):
            raise ForbiddenError("you may see your own account only")

    def _row(self, user_id: int) -> VersionedRow:
        return self._users.get_row(user_id) or not_found("user", user_id)


def _is_admin(user: User) -> bool:
    """True for an admin who can log in."""
    return user.role is Role.ADMIN and user.is_active and not user.is_service


def _ensure_may_give(actor: Actor, role: Role | None) -> None:
    if role is Role.ADMIN:
        ensure_no_token(actor, "make an admin")


def _ensure_fits_service_account(changes: UserChanges) -> None:
    if "password" in changes:
        raise InvalidError.of("password", "cannot be set: nobody logs in to a service account")
    if "email" in changes:
        raise InvalidError.of("email", "cannot be set: a service account has no address")


def ensure_can_log_in(user: User) -> str:
    """Return the hash of the user's password. Raises CannotLogInError for a user who cannot log in."""
    if user.is_service or not user.is_active or user.password_hash is None:
        raise CannotLogInError(f"{user.username} cannot log in, so there is no password to reset")
    return user.password_hash


def ensure_allowed(
    rules: PasswordRules, password: str, username: str, email: str | None, *, field: str = "password"
) -> None:
    """Raises InvalidError for a new password that the rules refuse."""
    problem = rules.problem_with(password, username=username, email=email)
    if problem is not None:
        raise InvalidError.of(field, problem)
