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
from tests.services.health.checking import NEWEST, OLDER, wrong_with

GIBIBYTE = 1024**3


class TestCheck:
    def test_nothing_is_wrong_where_all_is_there(self, service, everybody_at_work):
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

    def test_a_dead_redis_is_told_and_nothing_else(self, service_with, closed_port, everybody_at_work):
        service = service_with(redis_url=f"redis://127.0.0.1:{closed_port}/0")

        assert wrong_with(service) == {CheckName.REDIS: "does not answer"}

    def test_a_frozen_redis_is_told_and_nothing_else(self, service_with, frozen_port, everybody_at_work):
        service = service_with(redis_url=f"redis://127.0.0.1:{frozen_port}/0")

        assert wrong_with(service) == {CheckName.REDIS: "does not answer"}

    def test_a_broker_that_is_away_is_told_and_nothing_else(self, service_with, everybody_at_work):
        service = service_with(job_queue=SilentJobQueue())

        assert wrong_with(service) == {CheckName.BROKER: "does not answer"}

    def test_an_empty_queue_is_a_broker_that_answers(self, service, job_queue, everybody_at_work):
        assert job_queue.count_waiting() == 0
        assert wrong_with(service) == {}

    def test_a_disk_with_room_is_right(self, service_with, everybody_at_work, tmp_path):
        checks = service_with(watched_dir=tmp_path).check()

        assert [check for check in checks if check.name is CheckName.DISK] == [Check(CheckName.DISK, None)]

    def test_a_disk_with_little_room_is_told_with_what_is_left(self, service_with, everybody_at_work, monkeypatch):
        monkeypatch.setattr(
            "app.services.health.checks.room_in", lambda _directory: Room(100 * GIBIBYTE, GIBIBYTE // 2)
        )

        assert wrong_with(service_with(watched_dir=Path("/"))) == {
            CheckName.DISK: "has only 512 MiB left; soon nothing more can be saved"
        }

    def test_a_disk_that_is_gone_is_told(self, service_with, everybody_at_work, tmp_path):
        assert wrong_with(service_with(watched_dir=tmp_path / "gone")) == {
            CheckName.DISK: "cannot be checked: No such file or directory"
        }

    def test_what_one_can_do_without_is_left_out(self, service):
        checks = service.check(without=[CheckName.REDIS, CheckName.WORKER, CheckName.BEAT, CheckName.DAILY_LOG])

        assert [check.name for check in checks] == [CheckName.DATABASE, CheckName.MIGRATIONS, CheckName.BROKER]

    def test_a_check_that_is_wrong_does_not_count_once_it_is_left_out(self, service):
        assert set(wrong_with(service)) == {CheckName.WORKER, CheckName.BEAT}
        assert all(check.ok for check in service.check(without={CheckName.WORKER, CheckName.BEAT}))


@pytest.mark.parametrize(
    ("name", "part"), [(CheckName.WORKER, BackgroundProcess.WORKER), (CheckName.BEAT, BackgroundProcess.BEAT)]
)
class TestSightings:
    def test_who_was_never_seen_is_told(self, service, everybody_at_work, forget, name, part):
        forget(part)

        assert wrong_with(service) == {name: "was never seen"}

    def test_who_was_last_seen_too_long_ago_is_told_with_the_time(self, service, everybody_at_work, seen, name, part):
        seen(part, seconds_ago=UNSEEN_SECONDS + 1)

        assert wrong_with(service) == {name: "was last seen 121 s ago"}

    def test_who_was_seen_later_than_now_was_seen_just_now(
        self, service, everybody_at_work, seen, connection, name, part
    ):
        """The clock was set back. Whoever is seen next puts the others right, or the dead would live for two hours."""
        seen(part, seconds_ago=-7200)
        assert wrong_with(service) == {}

        (other,) = set(BackgroundProcess) - {part}
        service.see(other)

        seconds_ago = "SELECT extract(epoch FROM now() - seen_at) FROM sightings WHERE part = :part"
        assert connection.execute(text(seconds_ago), {"part": part.value}).scalar() == 0

    def test_who_was_seen_two_minutes_ago_is_gone(self, service, everybody_at_work, seen, name, part):
        seen(part, seconds_ago=UNSEEN_SECONDS)

        assert wrong_with(service) == {name: "was last seen 120 s ago"}

    def test_who_was_seen_a_moment_before_that_is_at_work(self, service, everybody_at_work, seen, name, part):
        seen(part, seconds_ago=UNSEEN_SECONDS - 1)

        assert wrong_with(service) == {}

    def test_who_is_seen_again_is_back(self, service, everybody_at_work, seen, name, part):
        seen(part, seconds_ago=UNSEEN_SECONDS + 1)

        service.see(part)

        assert wrong_with(service) == {}


class TestSchema:
    def test_one_that_is_behind_is_told_with_what_to_do(self, service, everybody_at_work, migrate_to):
        migrate_to(OLDER)

        wrong = wrong_with(service)

        assert wrong.pop(CheckName.MIGRATIONS) == (
            f"the schema is at {OLDER}, this release needs {NEWEST}; run `python main.py prepare`"
        )
        # Their table may not exist yet.
        unknown = [CheckName.WORKER, CheckName.BEAT, CheckName.DAILY_LOG]
        assert wrong == dict.fromkeys(unknown, "cannot be checked in the database")

    def test_one_that_lacks_the_tables_of_health_is_told_all_the_same(self, service, migrate_to, connection):
        migrate_to(OLDER)
        connection.execute(text("DROP TABLE sightings, job_counts"))

        assert f"the schema is at {OLDER}" in wrong_with(service)[CheckName.MIGRATIONS]

    @pytest.mark.parametrize("migration", known_migrations()[1:])
    def test_every_older_one_is_behind(self, service, migrate_to, migration):
        migrate_to(migration)

        assert f"the schema is at {migration}," in wrong_with(service)[CheckName.MIGRATIONS]

    def test_an_empty_database_is_told_with_what_to_do(self, service, connection):
        connection.execute(text("DELETE FROM alembic_version"))

        assert wrong_with(service)[CheckName.MIGRATIONS] == "the database is empty; run `python main.py prepare`"

    def test_one_that_is_ahead_is_good_enough(self, service, everybody_at_work, migrate_to):
        migrate_to("2099_01_01_unknown_to_us")

        assert wrong_with(service) == {}


class TestWithoutDatabase:
    def test_it_is_told_and_what_only_it_knows_cannot_be_looked_at(self, service_without_database):
        assert wrong_with(service_without_database) == {
            CheckName.DATABASE: "does not answer",
            CheckName.MIGRATIONS: "cannot be checked while the database does not answer",
            CheckName.WORKER: "cannot be checked in the database",
            CheckName.BEAT: "cannot be checked in the database",
            CheckName.DAILY_LOG: "cannot be checked in the database",
        }

    def test_what_does_not_need_it_is_measured(self, service_without_database, job_queue):
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
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as frozen:
        yield frozen.getsockname()[1]
