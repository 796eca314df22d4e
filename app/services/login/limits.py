"""How often a client may try to log in: limits by network, and growing waits by account. See docs/adr/002.

Attempts on an account come from two kinds of networks. A network from which the user has logged in before has its own
limit, so attackers elsewhere cannot lock the user out. Every other network must wait. The wait grows with the failed
attempts from that network and with the number of other networks that fail too. A wait belongs to one network, and other
networks do not prolong it, so a user who knows the password gets in after MAX_WAIT at most.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from app.auth.networks import fingerprint, network_of, site_of
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import TooManyRequestsError
from app.repositories.login.attempts import Counted, LoginAttemptRepository
from app.settings import RateLimit

FIRST_WAIT = timedelta(seconds=1)
MAX_WAIT = timedelta(minutes=15)
# After this many doublings of FIRST_WAIT the wait is MAX_WAIT.
MAX_DOUBLINGS = 10
# Failures are forgotten if no other follows within this time.
QUIET_TIME = timedelta(hours=1)
# An IPv6 /48 holds 65,536 networks that each count as a client. Together they may try this many times as often as one.
SITE_FACTOR = 4
# How long a network stays known after the last log-in from it.
KNOWN_TIME = timedelta(days=90)
# Counters and waits are deleted this long after their end, which is longer than any limit's window.
RETENTION_TIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in whose password may be checked. It counts as a failure until the log-in succeeds."""

    account: str
    network: str

    @property
    def counter(self) -> str:
        """The subject that counts the attempts from a network that the user is known from."""
        return f"known:{self.account}:{self.network}"


class LogInLimits:
    def __init__(
        self,
        uow: UnitOfWork,
        attempts: LoginAttemptRepository,
        clock: Clock,
        limit: RateLimit | None,
        fingerprint_key: bytes,
    ) -> None:
        """If `limit` is None, nothing is counted."""
        self._uow = uow
        self._attempts = attempts
        self._now = clock
        self._limit = limit
        self._key = fingerprint_key

    def count(self, action: str, subject: str) -> None:
        """Count one more attempt of a subject. Raises TooManyRequestsError, whose message names the action."""
        with self._uow.single_statements():
            refusal = _refusal(action, self._count(subject))
        if refusal is not None:
            raise refusal

    def count_network(self, address: str) -> TooManyRequestsError | None:
        """Count a log-in from the address's network. Return the refusal if there were too many, else None."""
        network, site = network_of(address), site_of(address)
        with self._uow.single_statements():
            wait = self._count(f"address:{network}")
            if site != network:
                wait = self._count(f"site:{site}", factor=SITE_FACTOR) or wait
        return _refusal("log-in", wait)

    def admit(self, address: str, *, user_id: int | None, login: str, too_many: TooManyRequestsError | None) -> Attempt:
        """Admit an attempt to the check of its password, or raise TooManyRequestsError.

        `too_many` is the result of `count_network`. It does not apply to a network that the user is known from. An
        attempt with an unknown name must wait like any other.
        """
        account = f"user:{user_id}" if user_id is not None else f"name:{fingerprint(self._key, login.casefold())}"
        attempt = Attempt(account, self._network_of(address, account))
        if self._limit is None:
            return attempt
        now = self._now()
        counted = None
        if user_id is not None:
            with self._uow.single_statements():
                counted = self._attempts.count_known(
                    attempt.counter,
                    user_id=user_id,
                    network=attempt.network,
                    since=now - KNOWN_TIME,
                    at=now,
                    window=self._limit.window,
                )
        if counted is not None:
            refusal = _refusal("log-in", self._wait_after_count(counted, self._limit))
        else:
            with self._uow.transaction():
                refusal = too_many or _refusal("log-in", self._wait_of_unknown_network(attempt, self._limit, now))
        if refusal is not None:
            raise refusal
        return attempt

    def forget_other_networks(self, address: str, user_id: int) -> None:
        """Forget the networks that have used only the old password. Call it inside the transaction that changes it."""
        self._attempts.forget_networks_of(user_id)
        self._attempts.remember_network(user_id, self._network_of(address, f"user:{user_id}"), at=self._now())

    def sweep(self, *, limit: int) -> int:
        """Delete up to `limit` obsolete rows of each kind, and return the highest number of one kind.

        Call it inside a transaction.
        """
        ended, unused_since = self._now() - RETENTION_TIME, self._now() - KNOWN_TIME
        return max(
            self._attempts.delete_counters(before=ended, limit=limit),
            self._attempts.delete_waits(before=ended, limit=limit),
            self._attempts.delete_networks(unused_since=unused_since, limit=limit),
        )

    def _network_of(self, address: str, account: str) -> str:
        return fingerprint(self._key, account, network_of(address))

    def _wait_of_unknown_network(self, attempt: Attempt, limit: RateLimit, now: datetime) -> timedelta | None:
        wait, is_new = self._attempts.lock_wait(attempt.account, attempt.network, at=now)
        if wait.until > now:
            return wait.until - now
        recently = now - QUIET_TIME
        others = self._attempts.count_failing_networks(
            attempt.account, except_network=attempt.network, since=recently, at_most=limit.amount + MAX_DOUBLINGS
        )
        first_wait = _wait_after(others, limit)
        if is_new and first_wait is not None:
            wait.until = now + first_wait
            self._attempts.flush()
            return first_wait
        # The attempt counts before its password is checked, so only one of many simultaneous attempts gets through.
        is_fresh = wait.failed_at is not None and wait.failed_at > recently
        wait.failures = (wait.failures if is_fresh else 0) + 1
        wait.failed_at = now
        wait.until = now + (_wait_after(wait.failures + others, limit) or timedelta())
        self._attempts.flush()
        return None

    def _count(self, subject: str, *, factor: int = 1) -> timedelta | None:
        """Count an attempt. Return how long to wait if there were too many, else None. Refused attempts count too."""
        if self._limit is None:
            return None
        counted = self._attempts.count(subject, at=self._now(), window=self._limit.window)
        return self._wait_after_count(counted, self._limit, factor=factor)

    def _wait_after_count(self, counted: Counted, limit: RateLimit, *, factor: int = 1) -> timedelta | None:
        if counted.attempts <= limit.amount * factor:
            return None
        return counted.since + limit.window - self._now()


def _wait_after(failures: int, limit: RateLimit) -> timedelta | None:
    """None for the first failures, then one second, doubled with each further failure up to MAX_WAIT."""
    doublings = failures - limit.amount
    if doublings < 0:
        return None
    return MAX_WAIT if doublings >= MAX_DOUBLINGS else min(FIRST_WAIT * (1 << doublings), MAX_WAIT)


def _refusal(action: str, wait: timedelta | None) -> TooManyRequestsError | None:
    if wait is None:
        return None
    seconds = max(1, ceil(wait.total_seconds()))
    return TooManyRequestsError(f"too many {action} attempts; wait before the next", retry_after_seconds=seconds)
