"""Who is wired to what: the parts of this process, the services of this request or job, and what follows each event."""

import hmac
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import cached_property, partial

from app.cache import Cache, make_redis
from app.database.engine import REQUEST_LOCK_SECONDS, Timeouts, make_engine, make_session_factory, watch_connections
from app.database.unit_of_work import UnitOfWork
from app.events import (
    DayLogged,
    DayLogRequested,
    Event,
    ImportWaiting,
    ProjectChanged,
    SessionEnded,
    TaskChanged,
    TasksImported,
    UserChanged,
)
from app.job_queue import JobName, JobQueue
from app.metrics import Metrics
from app.repositories.health import HealthRepository
from app.repositories.import_batches import ImportBatchRepository
from app.repositories.import_people import ImportPeopleRepository
from app.repositories.import_queue import ImportQueueRepository
from app.repositories.imports import ImportRepository
from app.repositories.login_attempts import LoginAttemptRepository
from app.repositories.projects import ProjectRepository
from app.repositories.record import RecordRepository
from app.repositories.reports import ReportRepository
from app.repositories.sessions import SessionRepository
from app.repositories.statistics import StatisticsRepository
from app.repositories.task_export import TaskExportRepository
from app.repositories.task_history import TaskHistoryRepository
from app.repositories.task_list import TaskListRepository
from app.repositories.task_log_reports import TaskLogReportRepository
from app.repositories.task_log_table import TaskLogTableRepository
from app.repositories.task_logs import TaskLogRepository
from app.repositories.tasks import TaskRepository
from app.repositories.users import UserRepository
from app.services.authentication import AuthenticationPolicy, AuthenticationService
from app.services.clock import Clock, system_clock
from app.services.health import HealthService
from app.services.import_blocks import ImportBlockService
from app.services.import_runs import ImportRunService
from app.services.import_uploads import ImportUploadService
from app.services.imports import ImportService
from app.services.log_in_limits import LogInLimits
from app.services.projects import ProjectService
from app.services.reports import ReportService
from app.services.statistics import StatisticsService
from app.services.task_export import TaskExportService
from app.services.task_history import TaskHistoryService
from app.services.task_log_reports import TaskLogReportService
from app.services.task_logs import TaskLogService
from app.services.tasks import TaskService
from app.services.users import UserService
from app.settings import Settings

logger = logging.getLogger(__name__)


class Parts:
    """What a process has one of. Connections open with first use, so a process that forks has none to share."""

    def __init__(
        self,
        settings: Settings,
        *,
        job_queue: JobQueue,
        cache: Cache | None = None,
        clock: Clock = system_clock,
        metrics: Metrics | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        """Only the api passes `metrics` that it shares with its other processes: they speak for it alone.

        `timeouts` are those of a request where nothing else is said.
        """
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.engine = make_engine(
            settings.database_url,
            pool_size=settings.database_pool_size,
            timeouts=timeouts or Timeouts(settings.request_statement_seconds, REQUEST_LOCK_SECONDS),
        )
        watch_connections(self.engine, self.metrics)
        self.new_session = make_session_factory(self.engine)
        self.cache = cache or Cache(make_redis(settings.redis_url), count_lookup=self.metrics.count_lookup)
        self.job_queue = job_queue
        self.clock = clock

    def after_fork(self) -> None:
        """A child must not close the connections that are its parent's."""
        self.engine.dispose(close=False)

    def react_to(self, event: Event, *, request_id: str | None = None) -> None:
        """What happens after each event. The commit is past: a reaction that fails is logged and stops nothing."""
        try:
            match event:
                case TaskChanged() | TasksImported():
                    self.cache.forget("tasks")
                case ImportWaiting():
                    self.job_queue.enqueue(JobName.RUN_IMPORTS, request_id=request_id)
                case DayLogged():
                    self.cache.forget("task_logs")
                case DayLogRequested():
                    self.job_queue.enqueue(JobName.LOG_DUE_DAYS, request_id=request_id)
                case UserChanged() | ProjectChanged():
                    # Their names stand on pages too.
                    self.cache.forget("actors", "tasks", "task_logs")
                case SessionEnded():
                    self.cache.forget("actors")
        except Exception:
            logger.exception("reaction to %s failed", type(event).__name__)


class Services:
    """The use cases of one request or job, on one session."""

    def __init__(self, parts: Parts, *, request_id: str | None = None) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._session = parts.new_session()
        react = partial(parts.react_to, request_id=request_id)
        self._uow = UnitOfWork(self._session, react, request_id=request_id)

    def close(self) -> None:
        self._session.close()

    @cached_property
    def authentication(self) -> AuthenticationService:
        settings = self._settings
        policy = AuthenticationPolicy(
            session_lifetime=timedelta(days=settings.session_days),
            is_registration_open=settings.self_registration_enabled,
        )
        limits = LogInLimits(
            self._uow,
            LoginAttemptRepository(self._session),
            self._parts.clock,
            settings.rate_limits.login if settings.rate_limits.enabled else None,
            hmac.digest(settings.jwt_secret_key.encode(), b"networks that users are known from", "sha256"),
        )
        return AuthenticationService(
            self._uow,
            UserRepository(self._session),
            SessionRepository(self._session),
            limits,
            self._parts.cache,
            self._parts.clock,
            policy,
        )

    @cached_property
    def health(self) -> HealthService:
        return HealthService(
            self._uow,
            HealthRepository(self._session),
            self._parts.cache,
            self._parts.job_queue,
            self._settings.time_zone,
            self._settings.watched_dir,
        )

    @cached_property
    def users(self) -> UserService:
        return UserService(
            self._uow,
            UserRepository(self._session),
            SessionRepository(self._session),
            LoginAttemptRepository(self._session),
            self._parts.clock,
        )

    @cached_property
    def projects(self) -> ProjectService:
        return ProjectService(
            self._uow, ProjectRepository(self._session), UserRepository(self._session), self._parts.clock
        )

    @cached_property
    def tasks(self) -> TaskService:
        return TaskService(
            self._uow,
            TaskRepository(self._session),
            TaskListRepository(self._session),
            ProjectRepository(self._session),
            UserRepository(self._session),
            self._parts.cache,
            self._parts.clock,
            self._settings.time_zone,
        )

    @cached_property
    def task_export(self) -> TaskExportService:
        return TaskExportService(self._uow, TaskExportRepository(self._session), self._parts.clock)

    @cached_property
    def task_logs(self) -> TaskLogService:
        return TaskLogService(
            self._uow,
            TaskLogRepository(self._session),
            TaskLogTableRepository(self._session),
            RecordRepository(self._session),
            self._parts.cache,
            self._parts.clock,
            self._settings.time_zone,
            self._settings.task_log_retention_days,
        )

    @cached_property
    def task_log_reports(self) -> TaskLogReportService:
        return TaskLogReportService(self._uow, TaskLogRepository(self._session), TaskLogReportRepository(self._session))

    @cached_property
    def task_history(self) -> TaskHistoryService:
        return TaskHistoryService(self._uow, TaskHistoryRepository(self._session))

    @cached_property
    def reports(self) -> ReportService:
        return ReportService(self._uow, ReportRepository(self._session), self._parts.clock, self._settings.time_zone)

    @cached_property
    def statistics(self) -> StatisticsService:
        return StatisticsService(self._uow, StatisticsRepository(self._session))

    @cached_property
    def imports(self) -> ImportService:
        return ImportService(
            self._uow, ImportRepository(self._session), self._import_uploads, self.import_runs, self._parts.clock
        )

    @cached_property
    def _import_uploads(self) -> ImportUploadService:
        return ImportUploadService(
            self._uow,
            ImportRepository(self._session),
            ImportQueueRepository(self._session),
            ImportPeopleRepository(self._session),
            ProjectRepository(self._session),
            self._parts.clock,
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
            self._parts.clock,
            self._settings.time_zone,
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
            self._parts.clock,
            self._settings.time_zone,
        )


_current: ContextVar[Services] = ContextVar("services")


def services() -> Services:
    """The services of the request or job that is running. Raises LookupError outside of one."""
    return _current.get()


@contextmanager
def serving(parts: Parts, *, request_id: str | None = None) -> Iterator[Services]:
    """Services for one request, job or command; its session is closed at the end, its open transaction rolled back."""
    of_this_scope = Services(parts, request_id=request_id)
    token = _current.set(of_this_scope)
    try:
        yield of_this_scope
    finally:
        _current.reset(token)
        of_this_scope.close()
