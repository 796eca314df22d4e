"""What each group of measurements needs: servers, settings, sizes, and the report that takes its rows."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from app.composition.resources import Resources
from app.database.engine import JOB_TIMEOUTS
from app.factory import create_app
from app.settings import CsvLimits, Settings
from bench.report import Report
from bench.sizes import Sizes
from bench.workload import Workload
from tests import servers
from tests.fakes import FakeJobQueue
from tests.settings import make_settings


class Stage:
    def __init__(
        self, directory: Path, server_url: str, redis_url: str, sizes: Sizes, report: Report, stack: ExitStack
    ) -> None:
        """What groups share stays until `stack` ends."""
        self.directory = directory
        self.server_url = server_url
        self.redis_url = redis_url
        self.sizes = sizes
        self.report = report
        self._stack = stack
        self._many_tasks: Workload | None = None

    @contextmanager
    def database(self) -> Iterator[Settings]:
        """Settings of a new database, which is dropped at the end."""
        with servers.migrated_database(self.server_url) as url:
            yield self._settings(url)

    @contextmanager
    def workload(self, settings: Settings | None = None) -> Iterator[Workload]:
        """The work of an app with these settings, or with those of a new database."""
        if settings is None:
            with self.database() as own, self.workload(own) as work:
                yield work
            return
        resources = Resources(settings, job_queue=FakeJobQueue(), timeouts=JOB_TIMEOUTS)
        try:
            yield Workload(create_app(settings, resources=resources), resources)
        finally:
            resources.engine.dispose()

    def many_tasks(self) -> Workload:
        """A database with 10,000 tasks in the project SMALL and `BENCH_TASKS` in GEN. Filling it takes minutes."""
        if self._many_tasks is None:
            work = self._stack.enter_context(self.workload())
            work.add_tasks("SMALL", 10_000)
            work.add_tasks("GEN", self.sizes.tasks)
            self._many_tasks = work
        return self._many_tasks

    def _settings(self, database_url: str) -> Settings:
        """Settings of production as far as they cost time: rate limits are counted, but never refuse a request."""
        settings = make_settings(
            database_url,
            self.redis_url,
            access_token_minutes=600,
            classic_token_minutes=600,
            max_upload_bytes=1024**3,
            log_level="ERROR",
            csv_limits=CsvLimits(rows=1_000_000, columns=50, cell_characters=100_000),
        )
        assert settings.rate_limits.enabled
        return replace(settings, database_pool_size=10)
