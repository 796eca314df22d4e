"""How the services of the daily log are made."""

from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.daily_log.days import TaskLogRepository
from app.repositories.daily_log.export import TaskLogExportRepository
from app.repositories.daily_log.numbered import NumberedLogRepository
from app.repositories.daily_log.reports import TaskLogReportRepository
from app.repositories.tasks.history_clock import HistoryClockRepository
from app.services.daily_log.days import DailyLogService
from app.services.daily_log.export import TaskLogExportService
from app.services.daily_log.read import TaskLogService
from app.services.daily_log.reports import TaskLogReportService


class DailyLogUseCases(UseCases):
    @cached_property
    def daily_log(self) -> DailyLogService:
        return DailyLogService(
            self._uow,
            TaskLogRepository(self._session),
            HistoryClockRepository(self._session),
            self._calendar,
            self._settings.task_log_retention_days,
        )

    @cached_property
    def task_logs(self) -> TaskLogService:
        return TaskLogService(
            self._uow,
            TaskLogRepository(self._session),
            NumberedLogRepository(self._session),
            self._cache,
        )

    @cached_property
    def task_log_export(self) -> TaskLogExportService:
        return TaskLogExportService(self._uow, TaskLogExportRepository(self._session), self._calendar)

    @cached_property
    def daily_log_reports(self) -> TaskLogReportService:
        return TaskLogReportService(
            self._uow,
            TaskLogRepository(self._session),
            TaskLogReportRepository(self._session),
            TaskLogExportRepository(self._session),
        )
