"""The health of the tracker: what it needs, which processes were seen at work, and how much has been done."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from app.cache import CacheView
from app.database.migrations import known_migrations
from app.database.unit_of_work import UnitOfWork
from app.disk import room_in
from app.errors import UnavailableError
from app.job_queue import JobQueue
from app.models.health.sighting import BackgroundProcess, JobCount, JobResult
from app.models.imports.task_import import ImportState
from app.repositories.health.checks import HealthRepository, ImportRows, OverdueDays, Seen

# Beat and the workers do something every few seconds: a process unseen for this long is gone, stuck or cut off.
UNSEEN_SECONDS = 120.0
# A day is logged within minutes of its end. If it is not logged after this time, something is wrong.
OVERDUE_AFTER = timedelta(hours=1)


class CheckName(StrEnum):
    DATABASE = "database"
    MIGRATIONS = "migrations"
    REDIS = "redis"
    BROKER = "broker"
    WORKER = "worker"
    BEAT = "beat"
    DAILY_LOG = "daily_log"
    DISK = "disk"


# The checks that PostgreSQL answers, all in one transaction.
DATABASE_CHECKS = {CheckName.DATABASE, CheckName.MIGRATIONS, CheckName.WORKER, CheckName.BEAT, CheckName.DAILY_LOG}


@dataclass(frozen=True, slots=True)
class Check:
    """`reason` says what is wrong; None when nothing is."""

    name: CheckName
    reason: str | None

    @property
    def ok(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Work:
    """How much work has been done since the database was created, and how much is waiting."""

    job_counts: Sequence[JobCount]
    import_rows: ImportRows
    unfinished_imports: Mapping[ImportState, int]
    sightings: Mapping[BackgroundProcess, Seen]
    logged_until: datetime | None
    overdue_days: int


@dataclass(frozen=True, slots=True)
class Figures:
    """`work` is None while PostgreSQL is down or not migrated. `queue_length` is None while the broker is down."""

    checks: Sequence[Check]
    work: Work | None
    queue_length: int | None


class HealthService:
    def __init__(
        self,
        uow: UnitOfWork,
        health: HealthRepository,
        cache: CacheView,
        job_queue: JobQueue,
        time_zone: ZoneInfo,
        watched_dir: Path | None = None,
    ) -> None:
        """`watched_dir` is on the disk that holds the data; None if this machine does not have that disk."""
        self._uow = uow
        self._health = health
        self._cache = cache
        self._job_queue = job_queue
        self._time_zone = time_zone
        self._watched_dir = watched_dir

    def check(self, *, without: Collection[CheckName] = ()) -> list[Check]:
        """Run all checks except those in `without`, and return them in the order of CheckName."""
        checks = {check.name: check for check in self._check(set(CheckName) - set(without))}
        return [checks[name] for name in CheckName if name in checks]

    def measure(self) -> Figures:
        checks = self.check()
        # An older schema lacks some of the tables.
        is_migrated = any(check.ok for check in checks if check.name is CheckName.MIGRATIONS)
        return Figures(checks, self._look_at_work() if is_migrated else None, self._job_queue.count_waiting())

    def see(self, process: BackgroundProcess) -> None:
        """Note that the process was just now at work."""
        with self._uow.transaction():
            self._health.see(process)

    def count_job(self, job: str, result: JobResult, *, seconds: float) -> None:
        """Count a job that just ended, and note that a worker was at work."""
        with self._uow.transaction():
            self._health.count_job(job, result, seconds=seconds)
            self._health.see(BackgroundProcess.WORKER)

    def _check(self, names: set[CheckName]) -> Iterator[Check]:
        if names & DATABASE_CHECKS:
            yield from (check for check in self._check_database() if check.name in names)
        if CheckName.REDIS in names:
            yield Check(CheckName.REDIS, None if self._cache.is_reachable() else "does not answer")
        if CheckName.BROKER in names:
            yield Check(CheckName.BROKER, None if self._job_queue.count_waiting() is not None else "does not answer")
        if CheckName.DISK in names and self._watched_dir is not None:
            yield Check(CheckName.DISK, _why_low(self._watched_dir))

    def _check_database(self) -> Iterator[Check]:
        try:
            with self._uow.transaction():
                behind = _why_behind(self._health.applied_migration())
                sightings = self._health.list_sightings() if behind is None else None
                overdue = self._count_overdue_days() if behind is None else None
        except UnavailableError:
            yield Check(CheckName.DATABASE, "does not answer")
            behind, sightings, overdue = "cannot be checked while the database does not answer", None, None
        else:
            yield Check(CheckName.DATABASE, None)
        yield Check(CheckName.MIGRATIONS, behind)
        yield Check(CheckName.WORKER, _why_unseen(sightings, BackgroundProcess.WORKER))
        yield Check(CheckName.BEAT, _why_unseen(sightings, BackgroundProcess.BEAT))
        yield Check(CheckName.DAILY_LOG, _why_overdue(overdue))

    def _count_overdue_days(self) -> OverdueDays:
        return self._health.count_overdue_days(self._time_zone.key, after=OVERDUE_AFTER)

    def _look_at_work(self) -> Work | None:
        try:
            with self._uow.transaction():
                return Work(
                    self._health.list_job_counts(),
                    self._health.count_import_rows(),
                    self._health.count_unfinished_imports(),
                    self._health.list_sightings(),
                    self._health.logged_until(),
                    self._count_overdue_days().count,
                )
        except UnavailableError:
            return None


def _why_behind(migration: str | None) -> str | None:
    """None also for a newer schema, because each release works with the schema of the next."""
    newest, *older = known_migrations()
    if migration is None:
        return "the database is empty; run `python main.py prepare`"
    if migration in older:
        return f"the schema is at {migration}, this release needs {newest}; run `python main.py prepare`"
    return None


def _why_low(directory: Path) -> str | None:
    try:
        room = room_in(directory)
    except OSError as error:
        return f"cannot be checked: {error.strerror}"
    return f"has only {room.free_mebibytes} MiB left; soon nothing more can be saved" if room.is_low else None


def _why_unseen(sightings: Mapping[BackgroundProcess, Seen] | None, process: BackgroundProcess) -> str | None:
    if sightings is None:
        return "cannot be checked in the database"
    if process not in sightings:
        return "was never seen"
    seconds = sightings[process].seconds_ago
    return None if seconds < UNSEEN_SECONDS else f"was last seen {seconds:.0f} s ago"


def _why_overdue(overdue: OverdueDays | None) -> str | None:
    if overdue is None:
        return "cannot be checked in the database"
    if overdue.count == 0:
        return None
    if overdue.count == 1:
        return f"{overdue.first_on} is over and has not been logged"
    return f"{overdue.count} days are over and have not been logged, the first of them {overdue.first_on}"
