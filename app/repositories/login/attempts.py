"""The SQL of log-in attempts: counters, waits, and the networks that a user is known from."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Integer, Interval, Text, case, delete, func, literal, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import Session

from app.database.prepared import PlannedOnce, parameter
from app.models.login.attempt import LoginAttempt
from app.models.login.network import LoginNetwork
from app.models.login.wait import LoginWait
from app.repositories.sweeping import delete_some


@dataclass(frozen=True, slots=True)
class Counted:
    """The attempts in the present window of a counter, and when the window began."""

    attempts: int
    since: datetime


class LoginAttemptRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def count(self, subject: str, *, at: datetime, window: timedelta) -> Counted:
        """Count one more attempt. Atomic: one statement.

        The commit does not wait for the disk: a crash of PostgreSQL may lose the attempts of the last second.
        """
        (row,) = _COUNT.write(self._session, {"subject": subject, "at": at, "window": window})
        return Counted(row.attempts, row.window_started_at)

    def count_known(
        self, subject: str, *, user_id: int, network: str, since: datetime, at: datetime, window: timedelta
    ) -> Counted | None:
        """Count one more attempt if the user has logged in from that network since then. None otherwise."""
        values = {"subject": subject, "user_id": user_id, "network": network, "since": since}
        rows = _COUNT_KNOWN.write(self._session, {**values, "at": at, "window": window})
        return Counted(rows[0].attempts, rows[0].window_started_at) if rows else None

    def lock_wait(self, account: str, network: str, *, at: datetime) -> tuple[LoginWait, bool]:
        """The network's wait, and whether it is new. A new wait is already over.

        Locked until the commit, with current values.
        """
        values = {"account": account, "network": network, "until": at}
        added = self._session.execute(
            insert(LoginWait).values(values).on_conflict_do_nothing().returning(LoginWait.account)
        ).one_or_none()
        wait = self._session.get_one(LoginWait, (account, network), with_for_update=True, populate_existing=True)
        return wait, added is not None

    def count_failing_networks(self, account: str, *, except_network: str, since: datetime, at_most: int) -> int:
        failing = (
            select(LoginWait.network)
            .where(LoginWait.account == account, LoginWait.failed_at > since, LoginWait.network != except_network)
            .limit(at_most)
        )
        return self._session.scalar(select(func.count()).select_from(failing.subquery())) or 0

    def flush(self) -> None:
        """Write the pending changes of a wait."""
        self._session.flush()

    def remember_network(self, user_id: int, network: str, *, at: datetime) -> None:
        _REMEMBER_NETWORK.write(self._session, {"user_id": user_id, "network": network, "at": at})

    def forget_networks_of(self, user_id: int) -> None:
        self._session.execute(delete(LoginNetwork).where(LoginNetwork.user_id == user_id))

    def delete_counters(self, *, before: datetime, limit: int) -> int:
        return delete_some(self._session, LoginAttempt, LoginAttempt.window_started_at < before, limit=limit)

    def delete_waits(self, *, before: datetime, limit: int) -> int:
        return delete_some(self._session, LoginWait, LoginWait.until < before, limit=limit)

    def delete_networks(self, *, unused_since: datetime, limit: int) -> int:
        return delete_some(self._session, LoginNetwork, LoginNetwork.last_used_at < unused_since, limit=limit)


_SUBJECT, _AT = parameter("subject", Text), parameter("at", LoginAttempt.window_started_at.type)
_USER_ID, _NETWORK = parameter("user_id", BigInteger), parameter("network", Text)


def _counting(statement: Insert) -> PlannedOnce:
    is_over = LoginAttempt.window_started_at <= _AT - parameter("window", Interval)
    return PlannedOnce(
        statement.on_conflict_do_update(
            index_elements=[LoginAttempt.subject],
            set_={
                "attempts": case((is_over, 1), else_=LoginAttempt.attempts + 1),
                "window_started_at": case((is_over, _AT), else_=LoginAttempt.window_started_at),
            },
        ).returning(
            LoginAttempt.attempts,
            LoginAttempt.window_started_at,
            func.set_config("synchronous_commit", "off", True),
        )
    )


_COUNT = _counting(insert(LoginAttempt).values(subject=_SUBJECT, window_started_at=_AT, attempts=1))
_COUNT_KNOWN = _counting(
    insert(LoginAttempt).from_select(
        ["subject", "window_started_at", "attempts"],
        select(_SUBJECT, _AT, literal(1, Integer)).where(
            LoginNetwork.user_id == _USER_ID,
            LoginNetwork.network == _NETWORK,
            LoginNetwork.last_used_at >= parameter("since", LoginNetwork.last_used_at.type),
        ),
    )
)
_REMEMBER_NETWORK = PlannedOnce(
    insert(LoginNetwork)
    .values(user_id=_USER_ID, network=_NETWORK, last_used_at=_AT)
    .on_conflict_do_update(index_elements=[LoginNetwork.user_id, LoginNetwork.network], set_={"last_used_at": _AT})
    .returning(LoginNetwork.user_id)
)
