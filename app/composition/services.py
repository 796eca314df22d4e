"""The services of one request or job, and what each depends on."""

import hmac
from contextvars import ContextVar
from datetime import timedelta
from functools import cached_property, partial
from typing import Self

from app.auth.password_rules import PasswordRules
from app.cache import CacheView, Glance
from app.clock import Calendar
from app.composition.reactions import react_to
from app.composition.resources import Resources
from app.database.engine import DatabaseSession
from app.database.unit_of_work import UnitOfWork
from app.repositories.daily_log.days import TaskLogRepository
from app.repositories.daily_log.export import TaskLogExportRepository
from app.repositories.daily_log.numbered import NumberedLogRepository
from app.repositories.daily_log.reports import TaskLogReportRepository
from app.repositories.health.checks import HealthRepository
from app.repositories.health.statistics import StatisticsRepository
from app.repositories.idempotency import KeptAnswerRepository
from app.repositories.imports.batches import ImportBatchRepository
from app.repositories.imports.imports import ImportRepository
from app.repositories.imports.people import ImportPeopleRepository
from app.repositories.imports.queue import ImportQueueRepository
from app.repositories.login.api_tokens import ApiTokenRepository
from app.repositories.login.attempts import LoginAttemptRepository
from app.repositories.login.password_resets import PasswordResetRepository
from app.repositories.login.sessions import SessionRepository
from app.repositories.people import UserRepository
from app.repositories.projects import ProjectRepository
from app.repositories.reports import ReportRepository
from app.repositories.tasks.export import TaskExportRepository
from app.repositories.tasks.handover import HandoverRepository
from app.repositories.tasks.history import TaskHistoryRepository
from app.repositories.tasks.history_clock import HistoryClockRepository
from app.repositories.tasks.read import TaskListRepository
from app.repositories.tasks.write import TaskRepository
from app.services.daily_log.days import DailyLogService
from app.services.daily_log.export import TaskLogExportService
from app.services.daily_log.read import TaskLogService
from app.services.daily_log.reports import TaskLogReportService
from app.services.health.checks import HealthService
from app.services.health.statistics import StatisticsService
from app.services.idempotency import IdempotencyService
from app.services.imports.blocks import ImportBlockService
from app.services.imports.imports import ImportService
from app.services.imports.mappings import ImportMappingService
from app.services.imports.runs import ImportRunService
from app.services.imports.uploads import ImportUploadService
from app.services.login.actors import ActorService
from app.services.login.api_tokens import ApiTokenService
from app.services.login.limits import LogInLimits
from app.services.login.log_in import AuthenticationPolicy, AuthenticationService
from app.services.login.password_resets import PasswordResetService, ResetPolicy
from app.services.login.sessions import SessionService
from app.services.people import UserService
from app.services.projects import ProjectService
from app.services.reports import ReportService
from app.services.tasks.export import TaskExportService
from app.services.tasks.handover import HandoverService
from app.services.tasks.history import TaskHistoryService
from app.services.tasks.read import TaskViewService
from app.services.tasks.write import TaskService


class Services:
    """The use cases of one request or job, on one session."""

    def __init__(self, resources: Resources, *, request_id: str | None = None, glance: Glance | None = None) -> None:
        """`glance` is what a request has learnt from the cache's server already."""
        self._resources = resources
        self._settings = resources.settings
        self._request_id = request_id
        self._cache = CacheView(resources.cache, glance)

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(self, *_error: object) -> None:
        """Roll back a transaction that is still open. A session that nobody needed was never made."""
        _current.reset(self._token)
        if "_session" in self.__dict__ and self._session.in_transaction():
            self._session.close()

    @cached_property
    def _session(self) -> DatabaseSession:
        return self._resources.new_session()

    @cached_property
    def _uow(self) -> UnitOfWork:
        react = partial(react_to, self._resources, self._cache, request_id=self._request_id)
        return UnitOfWork(self._session, react, request_id=self._request_id)

    @cached_property
    def _calendar(self) -> Calendar:
        return Calendar(self._resources.clock, self._settings.time_zone)

    def _key_for(self, purpose: bytes) -> bytes:
        """A secret key for one purpose, derived from the secret of this installation."""
        return hmac.digest(self._settings.jwt_secret_key.encode(), purpose, "sha256")

    @property
    def _password_rules(self) -> PasswordRules:
        return PasswordRules(self._settings.password_min_length)

    @cached_property
    def login(self) -> AuthenticationService:
        settings = self._settings
        policy = AuthenticationPolicy(
            session_lifetime=timedelta(days=settings.session_days),
            is_registration_open=settings.self_registration_enabled,
            password_rules=self._password_rules,
        )
        return AuthenticationService(
            self._uow,
            UserRepository(self._session),
            SessionRepository(self._session),
            ApiTokenRepository(self._session),
            self._log_in_limits,
            self._resources.clock,
            policy,
        )

    @cached_property
    def _log_in_limits(self) -> LogInLimits:
        limits = self._settings.rate_limits
        return LogInLimits(
            self._uow,
            LoginAttemptRepository(self._session),
            self._resources.clock,
            limits.login if limits.enabled else None,
            self._key_for(b"networks that users are known from"),
        )

    @cached_property
    def password_resets(self) -> PasswordResetService:
        return PasswordResetService(
            self._uow,
            PasswordResetRepository(self._session),
            UserRepository(self._session),
            SessionRepository(self._session),
            self._log_in_limits,
            self._resources.clock,
            ResetPolicy(timedelta(hours=self._settings.password_reset_hours), self._password_rules),
        )

    @cached_property
    def sessions(self) -> SessionService:
        return SessionService(self._uow, SessionRepository(self._session), self._resources.clock)

    @cached_property
    def actors(self) -> ActorService:
        return ActorService(
            self._uow,
            SessionRepository(self._session),
            ApiTokenRepository(self._session),
            self._cache,
            self._resources.clock,
        )

    @cached_property
    def api_tokens(self) -> ApiTokenService:
        return ApiTokenService(
            self._uow, ApiTokenRepository(self._session), UserRepository(self._session), self._resources.clock
        )

    @cached_property
    def idempotency(self) -> IdempotencyService:
        return IdempotencyService(
            self._uow,
            KeptAnswerRepository(self._session),
            self._resources.clock,
            self._key_for(b"requests with an idempotency key"),
        )

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

    @cached_property
    def projects(self) -> ProjectService:
        return ProjectService(
            self._uow, ProjectRepository(self._session), UserRepository(self._session), self._resources.clock
        )

    @cached_property
    def tasks(self) -> TaskService:
        return TaskService(
            self._uow,
            TaskRepository(self._session),
            ProjectRepository(self._session),
            UserRepository(self._session),
            self._calendar,
        )

    @cached_property
    def handover(self) -> HandoverService:
        return HandoverService(
            self._uow,
            HandoverRepository(self._session),
            ProjectRepository(self._session),
            UserRepository(self._session),
            self._resources.clock,
        )

    @cached_property
    def task_views(self) -> TaskViewService:
        return TaskViewService(
            self._uow,
            TaskRepository(self._session),
            TaskListRepository(self._session),
            self._cache,
            self._calendar,
        )

    @cached_property
    def task_export(self) -> TaskExportService:
        return TaskExportService(self._uow, TaskExportRepository(self._session), self._calendar)

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

    @cached_property
    def task_history(self) -> TaskHistoryService:
        return TaskHistoryService(self._uow, TaskHistoryRepository(self._session))

    @cached_property
    def reports(self) -> ReportService:
        return ReportService(self._uow, ReportRepository(self._session), self._calendar)

    @cached_property
    def statistics(self) -> StatisticsService:
        return StatisticsService(self._uow, StatisticsRepository(self._session))

    @cached_property
    def imports(self) -> ImportService:
        return ImportService(
            self._uow, ImportRepository(self._session), self._import_uploads, self.import_runs, self._resources.clock
        )

    @cached_property
    def import_mappings(self) -> ImportMappingService:
        return ImportMappingService(
            self._uow, ImportRepository(self._session), ProjectRepository(self._session), self._resources.clock
        )

    @cached_property
    def _import_uploads(self) -> ImportUploadService:
        return ImportUploadService(
            self._uow,
            ImportRepository(self._session),
            ImportQueueRepository(self._session),
            ImportPeopleRepository(self._session),
            ProjectRepository(self._session),
            self._resources.clock,
            self._settings.csv_limits,
        )

    @cached_property
    def import_runs(self) -> ImportRunService:
        return ImportRunService(
            self._uow,
            ImportRepository(self._session),
            ImportQueueRepository(self._session),
            ProjectRepository(self._session),
            self._import_blocks,
            self._calendar,
            self._settings.csv_limits.cell_characters,
        )

    @cached_property
    def _import_blocks(self) -> ImportBlockService:
        return ImportBlockService(
            self._uow,
            ImportRepository(self._session),
            ImportQueueRepository(self._session),
            ImportBatchRepository(self._session),
            ImportPeopleRepository(self._session),
            ProjectRepository(self._session),
            self._calendar,
        )


_current: ContextVar[Services] = ContextVar("services")


def services() -> Services:
    """The services of the request or job that is running. Raises LookupError outside of one."""
    return _current.get()


def serving(resources: Resources, *, request_id: str | None = None, glance: Glance | None = None) -> Services:
    """Services for one request, job or command, to be used with `with`."""
    return Services(resources, request_id=request_id, glance=glance)
