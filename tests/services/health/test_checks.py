import socket
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from app.composition.resources import Resources
from app.composition.services import serving
from app.database.migrations import known_migrations
from app.disk import Room
from app.job_queue import JobName
from app.models.health.sighting import BackgroundProcess
from app.services.health.checks import UNSEEN_SECONDS, Check, CheckName
from tests.fakes import SilentJobQueue
from tests.services.health.checking import NEWEST, OLDER, failed_checks

GIBIBYTE = 1024**3


class TestCheck:
    def test_no_check_fails_when_everything_works(self, service, all_processes_seen):
        checks = service.check()

        assert [(check.name, check.ok, check.reason) for check in checks] == [
            (CheckName.DATABASE, True, None),
            (CheckName.MIGRATIONS, True, None),
            (CheckName.REDIS, True, None),
            (CheckName.BROKER, True, None),
            (CheckName.WORKER, True, None),
            (CheckName.BEAT, True, None),
            (CheckName.DAILY_LOG, True, None),
        ]

    def test_a_dead_redis_fails_its_own_check_only(self, service_with, closed_port, all_processes_seen):
        service = service_with(redis_url=f"redis://127.0.0.1:{closed_port}/0")

        assert failed_checks(service) == {CheckName.REDIS: "does not answer"}

    def test_a_frozen_redis_fails_its_own_check_only(self, service_with, frozen_port, all_processes_seen):
        service = service_with(redis_url=f"redis://127.0.0.1:{frozen_port}/0")

        assert failed_checks(service) == {CheckName.REDIS: "does not answer"}

    def test_an_absent_broker_fails_its_own_check_only(self, service_with, all_processes_seen):
        service = service_with(job_queue=SilentJobQueue())

        assert failed_checks(service) == {CheckName.BROKER: "does not answer"}

    def test_an_empty_queue_passes(self, service, job_queue, all_processes_seen):
        assert job_queue.count_waiting() == 0
        assert failed_checks(service) == {}

    def test_a_disk_with_room_passes(self, service_with, all_processes_seen, tmp_path):
        checks = service_with(watched_dir=tmp_path).check()

        assert [check for check in checks if check.name is CheckName.DISK] == [Check(CheckName.DISK, None)]

    def test_a_nearly_full_disk_is_reported_with_the_room_left(self, service_with, all_processes_seen, monkeypatch):
        monkeypatch.setattr(
            "app.services.health.checks.room_in", lambda _directory: Room(100 * GIBIBYTE, GIBIBYTE // 2)
        )

        assert failed_checks(service_with(watched_dir=Path("/"))) == {
            CheckName.DISK: "has only 512 MiB left; soon nothing more can be saved"
        }

    def test_a_missing_disk_is_reported(self, service_with, all_processes_seen, tmp_path):
        assert failed_checks(service_with(watched_dir=tmp_path / "gone")) == {
            CheckName.DISK: "cannot be checked: No such file or directory"
        }

    def test_excluded_checks_are_left_out(self, service):
        checks = service.check(without=[CheckName.REDIS, CheckName.WORKER, CheckName.BEAT, CheckName.DAILY_LOG])

        assert [check.name for check in checks] == [CheckName.DATABASE, CheckName.MIGRATIONS, CheckName.BROKER]

    def test_a_failed_check_does_not_count_if_it_is_excluded(self, service):
        assert set(failed_checks(service)) == {CheckName.WORKER, CheckName.BEAT}
        assert all(check.ok for check in service.check(without={CheckName.WORKER, CheckName.BEAT}))


@pytest.mark.parametrize(
    ("name", "part"), [(CheckName.WORKER, BackgroundProcess.WORKER), (CheckName.BEAT, BackgroundProcess.BEAT)]
)
class TestSightings:
    def test_a_process_that_was_never_seen_is_reported(self, service, all_processes_seen, forget, name, part):
        forget(part)

        assert failed_checks(service) == {name: "was never seen"}

    def test_a_process_seen_too_long_ago_is_reported_with_the_time(self, service, all_processes_seen, seen, name, part):
        seen(part, seconds_ago=UNSEEN_SECONDS + 1)

        assert failed_checks(service) == {name: "was last seen 121 s ago"}

    def test_a_sighting_in_the_future_counts_as_just_now(
        self, service, all_processes_seen, seen, connection, name, part
    ):
        """The clock was set back. The next sighting corrects the others; otherwise the dead would look alive."""
        seen(part, seconds_ago=-7200)
        assert failed_checks(service) == {}

        (other,) = set(BackgroundProcess) - {part}
        service.see(other)

        seconds_ago = "SELECT extract(epoch FROM now() - seen_at) FROM sightings WHERE part = :part"
        assert connection.execute(text(seconds_ago), {"part": part.value}).scalar() == 0

    def test_a_process_seen_two_minutes_ago_is_gone(self, service, all_processes_seen, seen, name, part):
        seen(part, seconds_ago=UNSEEN_SECONDS)

        assert failed_checks(service) == {name: "was last seen 120 s ago"}

    def test_a_process_seen_less_than_two_minutes_ago_is_at_work(self, service, all_processes_seen, seen, name, part):
        seen(part, seconds_ago=UNSEEN_SECONDS - 1)

        assert failed_checks(service) == {}

    def test_a_process_that_is_seen_again_is_back(self, service, all_processes_seen, seen, name, part):
        seen(part, seconds_ago=UNSEEN_SECONDS + 1)

        service.see(part)

        assert failed_checks(service) == {}


class TestSchema:
    def test_an_outdated_schema_is_reported_with_a_way_out(self, service, all_processes_seen, migrate_to):
        migrate_to(OLDER)

        failures = failed_checks(service)

        assert failures.pop(CheckName.MIGRATIONS) == (
            f"the schema is at {OLDER}, this release needs {NEWEST}; run `python main.py prepare`"
        )
        # Their table may not exist yet.
        unknown = [CheckName.WORKER, CheckName.BEAT, CheckName.DAILY_LOG]
        assert failures == dict.fromkeys(unknown, "cannot be checked in the database")

    def test_a_schema_without_the_tables_of_health_is_reported(self, service, migrate_to, connection):
        migrate_to(OLDER)
        connection.execute(text("DROP TABLE sightings, job_counts"))

        assert f"the schema is at {OLDER}" in failed_checks(service)[CheckName.MIGRATIONS]

    @pytest.mark.parametrize("migration", known_migrations()[1:])
    def test_every_older_schema_is_outdated(self, service, migrate_to, migration):
        migrate_to(migration)

        assert f"the schema is at {migration}," in failed_checks(service)[CheckName.MIGRATIONS]

    def test_an_empty_database_is_reported_with_a_way_out(self, service, connection):
        connection.execute(text("DELETE FROM alembic_version"))

        assert failed_checks(service)[CheckName.MIGRATIONS] == "the database is empty; run `python main.py prepare`"

    def test_a_newer_schema_passes(self, service, all_processes_seen, migrate_to):
        migrate_to("2099_01_01_unknown_to_us")

        assert failed_checks(service) == {}


class TestWithoutDatabase:
    def test_the_database_fails_and_so_do_the_checks_that_need_it(self, service_without_database):
        assert failed_checks(service_without_database) == {
            CheckName.DATABASE: "does not answer",
            CheckName.MIGRATIONS: "cannot be checked while the database does not answer",
            CheckName.WORKER: "cannot be checked in the database",
            CheckName.BEAT: "cannot be checked in the database",
            CheckName.DAILY_LOG: "cannot be checked in the database",
        }

    def test_figures_that_do_not_need_the_database_are_measured(self, service_without_database, job_queue):
        job_queue.enqueue(JobName.LOG_DUE_DAYS)

        figures = service_without_database.measure()

        assert (figures.work, figures.queue_length) == (None, 1)
        assert {check.name for check in figures.checks if check.ok} == {CheckName.REDIS, CheckName.BROKER}


@pytest.fixture
def service_without_database(settings, closed_port, job_queue, redis):
    away = f"postgresql+psycopg2://nobody@127.0.0.1:{closed_port}/none"
    resources = Resources(replace(settings, database_url=away), job_queue=job_queue)
    with serving(resources) as services:
        yield services.health
    resources.engine.dispose()


@pytest.fixture
def forget(connection):
    return lambda part: connection.execute(text("DELETE FROM sightings WHERE part = :part"), {"part": part.value})


@pytest.fixture
def closed_port():
    """A port that no process listens on and that no other process can take."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def frozen_port():
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as frozen:
        yield frozen.getsockname()[1]
