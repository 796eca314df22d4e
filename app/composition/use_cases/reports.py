"""How the services of reports are made."""

from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.reports import ReportRepository
from app.services.reports import ReportService


class ReportUseCases(UseCases):
    @cached_property
    def reports(self) -> ReportService:
        return ReportService(self._uow, ReportRepository(self._session), self._calendar)
