"""The SQL of log-in sessions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Text, delete, exists, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.database.prepared import PlannedOnce, parameter
from app.models.login.attempt import LoginAttempt
from app.models.login.network import LoginNetwork
from app.models.login.session import LoginSession
from app.models.login.wait import LoginWait
from app.models.people.user import User
from app.repositories.projects import project_ids_of_user
from app.repositories.sweeping import delete_some


class SessionRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(
        self, login_session: LoginSession, *, password_hash: str, account: str, network: str, counter: str, at: datetime
    ) -> bool:
        """Begin the session of a log-in. False if its user is not active, or if the user's password has changed.

        The log-in is forgotten as an attempt, and its network is known from now on. `account` and `network`
        name the wait of an unknown network, and `counter` the attempts from a known one.
        """
        values = {
            # The driver does not know UUIDs.
            "id": str(login_session.id),
            "refresh_id": str(login_session.refresh_id),
            "user_id": login_session.user_id,
            "expires_at": login_session.expires_at,
            "password_hash": password_hash,
            "account": account,
            "network": network,
            "counter": counter,
            "at": at,
        }
        return bool(_BEGIN.write(self._session, values))

    def get_with_user(self, session_id: UUID, user_id: int) -> Any | None:
        """The session of that user as `LoginSession`, with `username`, `role`, `is_active` and the ids of projects.

        `project_ids` are those that the user is a member of, and those that include everybody. `archived_project_ids`
        are the archived ones that the user sees.
        """
        statement = (
            select(
                LoginSession,
                User.username,
                User.role,
                User.is_active,
                *project_ids_of_user(),
            )
            .join(User, User.id == LoginSession.user_id)
            .where(LoginSession.id == session_id, User.id == user_id)
            .execution_options(populate_existing=True)
        )
        return self._session.execute(statement).one_or_none()

    def get_for_update(self, session_id: UUID) -> LoginSession | None:
        return self._session.get(LoginSession, session_id, with_for_update=True, populate_existing=True)

    def list_open_of(self, user_id: int, *, at: datetime) -> Sequence[LoginSession]:
        statement = select(LoginSession).where(
            LoginSession.user_id == user_id, LoginSession.ended_at.is_(None), LoginSession.expires_at > at
        )
        return self._session.scalars(statement.order_by(LoginSession.expires_at.desc(), LoginSession.id)).all()

    def end_all_of(self, user_id: int, *, at: datetime, except_id: UUID | None = None) -> None:
        statement = update(LoginSession).where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None))
        if except_id is not None:
            statement = statement.where(LoginSession.id != except_id)
        self._session.execute(statement.values(ended_at=at))

    def delete_expired(self, *, before: datetime, limit: int) -> int:
        """Delete up to `limit` expired sessions; return how many were deleted."""
        return delete_some(self._session, LoginSession, LoginSession.expires_at < before, limit=limit)


def _begin() -> PlannedOnce:
    """A log-in that succeeds is one statement, so that a client waits for one commit.

    WITH holder AS (the user, locked, if the password is still the one that was checked),
         forgiven AS (the counter of attempts from a known network is deleted),
         ended AS (the wait of an unknown network is deleted),
         remembered AS (the network is known from now on)
    INSERT the session of the holder
    """
    network, at = parameter("network", Text), parameter("at", LoginNetwork.last_used_at.type)
    holder = (
        select(User.id)
        .where(
            User.id == parameter("user_id", BigInteger),
            User.password_hash == parameter("password_hash", Text),
            User.is_active,
        )
        .with_for_update()
        .cte("holder")
    )
    is_holder = exists(select(holder.c.id))
    forgiven = delete(LoginAttempt).where(LoginAttempt.subject == parameter("counter", Text), is_holder)
    ended = delete(LoginWait).where(
        LoginWait.account == parameter("account", Text), LoginWait.network == network, is_holder
    )
    remembered = (
        upsert(LoginNetwork)
        .from_select(["user_id", "network", "last_used_at"], select(holder.c.id, network, at))
        .on_conflict_do_update(index_elements=[LoginNetwork.user_id, LoginNetwork.network], set_={"last_used_at": at})
    )
    named = {name: LoginSession.__table__.c[name].type for name in ("id", "refresh_id", "expires_at")}
    session = insert(LoginSession).from_select(
        [*named, "user_id"], select(*(parameter(name, type_) for name, type_ in named.items()), holder.c.id)
    )
    return PlannedOnce(
        session.add_cte(forgiven.cte("forgiven"), ended.cte("ended"), remembered.cte("remembered")).returning(
            LoginSession.user_id
        )
    )


_BEGIN = _begin()
