"""How the service of saved views is made."""

from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.projects import ProjectRepository
from app.repositories.views import SavedViewRepository
from app.services.views import SavedViewService


class ViewUseCases(UseCases):
    @cached_property
    def saved_views(self) -> SavedViewService:
        return SavedViewService(
            self._uow, SavedViewRepository(self._session), ProjectRepository(self._session), self._resources.clock
        )
