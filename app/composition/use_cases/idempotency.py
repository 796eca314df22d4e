"""How the service of repeated requests is made."""

from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.idempotency import KeptAnswerRepository
from app.services.idempotency import IdempotencyService


class IdempotencyUseCases(UseCases):
    @cached_property
    def idempotency(self) -> IdempotencyService:
        return IdempotencyService(
            self._uow,
            KeptAnswerRepository(self._session),
            self._resources.clock,
            self._key_for(b"requests with an idempotency key"),
        )
