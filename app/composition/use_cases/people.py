"""How the services of people are made."""

from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.login.api_tokens import ApiTokenRepository
from app.repositories.login.attempts import LoginAttemptRepository
from app.repositories.login.sessions import SessionRepository
from app.repositories.people import UserRepository
from app.services.people import UserService


class PeopleUseCases(UseCases):
    @cached_property
    def people(self) -> UserService:
        return UserService(
            self._uow,
            UserRepository(self._session),
            SessionRepository(self._session),
            ApiTokenRepository(self._session),
            LoginAttemptRepository(self._session),
            self._resources.clock,
            self._password_rules,
        )
