"""How the services of health and statistics are made."""

from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.health.checks import HealthRepository
from app.repositories.health.statistics import StatisticsRepository
from app.services.health.checks import HealthService
from app.services.health.statistics import StatisticsService


class HealthUseCases(UseCases):
    @cached_property
    def health(self) -> HealthService:
        return HealthService(
            self._uow,
            HealthRepository(self._session),
            self._cache,
            self._resources.job_queue,
            self._settings.time_zone,
            self._settings.watched_dir,
        )

    @cached_property
    def statistics(self) -> StatisticsService:
        return StatisticsService(self._uow, StatisticsRepository(self._session))
