"""How a repeated request gets the answer of the first one, without its effect happening twice.

See draft-ietf-httpapi-idempotency-key-header. Keys belong to a user: two users may choose the same one.
"""

import hmac
from collections.abc import Callable
from datetime import timedelta

from app.auth.actor import Actor
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import IdempotencyKeyReusedError, RequestUnderWayError
from app.queries.idempotency import Answer
from app.repositories.idempotency import KeptAnswerRepository

# A request that is repeated later is a new one.
KEEPING_TIME = timedelta(hours=24)
RETRY_AFTER_SECONDS = 1
SWEEP_SLICE = timedelta(seconds=20)
SWEEP_BATCH_ROWS = 10_000


class IdempotencyService:
    def __init__(self, uow: UnitOfWork, answers: KeptAnswerRepository, clock: Clock, fingerprint_key: bytes) -> None:
        self._uow = uow
        self._answers = answers
        self._now = clock
        self._fingerprint_key = fingerprint_key

    def answer_once(self, actor: Actor, key: str, request: bytes, work: Callable[[], Answer]) -> tuple[Answer, bool]:
        """The answer of `work`, or the kept one if the actor has sent this request before; and whether it was kept.

        `request` is all that tells one request from another. Only a fingerprint of it is stored, made with a key,
        because a request may hold a password.

        All transactions of `work` commit together with the kept answer. An error keeps nothing, so the request can be
        corrected or sent again. Raises RequestUnderWayError while another request with this key runs, and
        IdempotencyKeyReusedError if the earlier request was a different one.
        """
        fingerprint = hmac.digest(self._fingerprint_key, request, "sha256")
        with self._uow.together():
            if not self._answers.try_lock(actor.user_id, key):
                raise RequestUnderWayError(
                    "a request with this Idempotency-Key is still running; send yours again",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                )
            earlier = self._answers.get(actor.user_id, key, since=self._now() - KEEPING_TIME)
            if earlier is not None:
                earlier_fingerprint, answer = earlier
                if not hmac.compare_digest(earlier_fingerprint, fingerprint):
                    raise IdempotencyKeyReusedError("this Idempotency-Key was used for a different request")
                return answer, True
            answer = work()
            self._answers.put(actor.user_id, key, fingerprint, answer, at=self._now())
        return answer, False

    def sweep(self) -> None:
        """Delete the answers that are no longer repeated, in batches, for a limited time."""
        until, is_more = self._now() + SWEEP_SLICE, True
        while is_more and self._now() < until:
            with self._uow.transaction():
                deleted = self._answers.delete_older(before=self._now() - KEEPING_TIME, limit=SWEEP_BATCH_ROWS)
            is_more = deleted == SWEEP_BATCH_ROWS
