"""How often somebody may try to log in: by network, and by account with waits that grow. See adr/002.

An account is tried from two kinds of networks. One that its user has logged in from is held to a limit of its own, so
strangers elsewhere cannot keep the user out. Every other one waits: the longer, the more attempts at the account failed
from it and the more other networks fail too. A wait belongs to one network and is not prolonged by what others do, so
whoever knows the password gets in after MAX_WAIT at most.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from app.auth.networks import fingerprint, network_of, site_of
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import TooManyRequestsError
from app.repositories.login.attempts import LoginAttemptRepository
from app.settings import RateLimit

FIRST_WAIT = timedelta(seconds=1)
MAX_WAIT = timedelta(minutes=15)
# After so many doublings of FIRST_WAIT the wait is the longest.
MAX_DOUBLINGS = 10
# Failures are forgotten once there was none for so long.
QUIET_TIME = timedelta(hours=1)
# A /48 of IPv6 holds 65,536 networks that are each counted as a client.
SITE_FACTOR = 4
# How long a network stays known after the last log-in from it.
KNOWN_TIME = timedelta(days=90)
# Counters and waits that ended are kept this long: longer than any limit's window.
KEPT_TIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in that may try its password; counted as a failure until `LogInLimits.succeed` takes it back."""

    account: str
    network: str
    is_known: bool


class LogInLimits:
    def __init__(
        self,
        uow: UnitOfWork,
        attempts: LoginAttemptRepository,
        clock: Clock,
        limit: RateLimit | None,
        fingerprint_key: bytes,
    ) -> None:
        """Without a limit nothing is counted."""
        self._uow = uow
        self._attempts = attempts
        self._now = clock
        self._limit = limit
        self._key = fingerprint_key

    def count(self, what: str, subject: str) -> None:
        """Count one more attempt of a subject. Raises TooManyRequestsError."""
        with self._uow.transaction():
            refusal = _refusal(what, self._count(subject))
        if refusal is not None:
            raise refusal

    def count_network(self, address: str) -> TooManyRequestsError | None:
        """Count a log-in of the address's network; the refusal when it has made too many."""
        network, site = network_of(address), site_of(address)
        with self._uow.transaction():
            wait = self._count(f"address:{network}")
            if site != network:
                wait = self._count(f"site:{site}", factor=SITE_FACTOR) or wait
        return _refusal("log-in", wait)

    def admit(self, address: str, *, user_id: int | None, login: str, too_many: TooManyRequestsError | None) -> Attempt:
        """Let an attempt through to the password, or raise TooManyRequestsError.

        `too_many` is what `count_network` said; it does not hold for a network that the user is known from. A name
        that nobody has is made to wait like any other.
        """
        account = f"user:{user_id}" if user_id is not None else f"name:{fingerprint(self._key, login.casefold())}"
        network = self._network_of(address, account)
        with self._uow.transaction():
            now = self._now()
            is_known = user_id is not None and self._attempts.is_known(user_id, network, since=now - KNOWN_TIME)
            attempt = Attempt(account, network, is_known)
            if self._limit is None:
                return attempt
            if is_known:
                refusal = _refusal("log-in", self._count(f"known:{account}:{network}"))
            else:
                refusal = too_many or _refusal("log-in", self._wait_of_stranger(attempt, self._limit, now))
        if refusal is not None:
            raise refusal
        return attempt

    def succeed(self, attempt: Attempt, user_id: int) -> None:
        """Inside the transaction of the log-in."""
        if attempt.is_known:
            self._attempts.forgive(f"known:{attempt.account}:{attempt.network}")
        else:
            self._attempts.end_wait(attempt.account, attempt.network)
        self._attempts.remember_network(user_id, attempt.network, at=self._now())

    def know_only(self, address: str, user_id: int) -> None:
        """After a new password: networks where only the old one was used are strange again. Inside a transaction."""
        self._attempts.forget_networks_of(user_id)
        self._attempts.remember_network(user_id, self._network_of(address, f"user:{user_id}"), at=self._now())

    def sweep(self, *, limit: int) -> int:
        """Delete what no longer matters, up to `limit` of each kind; return the most of one. Inside a transaction."""
        ended, unused_since = self._now() - KEPT_TIME, self._now() - KNOWN_TIME
        return max(
            self._attempts.delete_counters(before=ended, limit=limit),
            self._attempts.delete_waits(before=ended, limit=limit),
            self._attempts.delete_networks(unused_since=unused_since, limit=limit),
        )

    def _network_of(self, address: str, account: str) -> str:
        return fingerprint(self._key, account, network_of(address))

    def _wait_of_stranger(self, attempt: Attempt, limit: RateLimit, now: datetime) -> timedelta | None:
        wait, is_new = self._attempts.lock_wait(attempt.account, attempt.network, at=now)
        if wait.until > now:
            return wait.until - now
        recently = now - QUIET_TIME
        others = self._attempts.count_failing_networks(
            attempt.account, but=attempt.network, since=recently, at_most=limit.amount + MAX_DOUBLINGS
        )
        first_wait = _wait_after(others, limit)
        if is_new and first_wait is not None:
            wait.until = now + first_wait
            self._attempts.flush()
            return first_wait
        # Counted before the password is looked at: of many attempts at once only one gets through.
        is_fresh = wait.failed_at is not None and wait.failed_at > recently
        wait.failures = (wait.failures if is_fresh else 0) + 1
        wait.failed_at = now
        wait.until = now + (_wait_after(wait.failures + others, limit) or timedelta())
        self._attempts.flush()
        return None

    def _count(self, subject: str, *, factor: int = 1) -> timedelta | None:
        """How long to wait when the subject has made too many attempts. A refused attempt counts too."""
        if self._limit is None:
            return None
        now, window = self._now(), timedelta(seconds=self._limit.seconds)
        attempts, since = self._attempts.count(subject, at=now, window=window)
        return since + window - now if attempts > self._limit.amount * factor else None


def _wait_after(failures: int, limit: RateLimit) -> timedelta | None:
    """None for the first failures, then one second, doubled with each further failure."""
    doublings = failures - limit.amount
    if doublings < 0:
        return None
    return MAX_WAIT if doublings >= MAX_DOUBLINGS else min(FIRST_WAIT * (1 << doublings), MAX_WAIT)


def _refusal(what: str, wait: timedelta | None) -> TooManyRequestsError | None:
    if wait is None:
        return None
    seconds = max(1, ceil(wait.total_seconds()))
    return TooManyRequestsError(f"too many {what} attempts; wait before the next", retry_after_seconds=seconds)
