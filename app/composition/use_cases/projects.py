"""How the services of projects are made."""

from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.people import UserRepository
from app.repositories.projects import ProjectRepository
from app.services.projects import ProjectService


class ProjectUseCases(UseCases):
    @cached_property
    def projects(self) -> ProjectService:
        return ProjectService(
            self._uow, ProjectRepository(self._session), UserRepository(self._session), self._resources.clock
        )
