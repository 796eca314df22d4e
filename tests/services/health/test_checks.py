import socket
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from app.composition.resources import Resources
from app.composition.services import serving
from app.database.engine import make_session_factory
from app.database.migrations import known_migrations
from app.disk import Room
from app.job_queue import JobName
from app.models.daily_log.task_log import LogRun, LogSource
from app.models.health.sighting import JobResult, Part
from app.models.imports.task_import import ImportMode, ImportState, TaskImport
from app.repositories.health.checks import ImportRows
from app.services.health.checks import OVERDUE_AFTER, UNSEEN_SECONDS, Check, CheckName
from tests.factories import general_project
from tests.fakes import FakeJobQueue

NEWEST, OLDER, *_ = known_migrations()
DAY = date(2026, 3, 9)
END_OF_DAY = datetime(2026, 3, 10, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
GIBIBYTE = 1024**3
JOB = JobName.LOG_DUE_DAYS.value


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
            CheckName.DISK: "cannot be looked at: No such file or directory"
        }

    def test_what_one_can_do_without_is_left_out(self, service):
        checks = service.check(without=[CheckName.REDIS, CheckName.WORKER, CheckName.BEAT, CheckName.DAILY_LOG])

        assert [check.name for check in checks] == [CheckName.DATABASE, CheckName.MIGRATIONS, CheckName.BROKER]

    def test_a_check_that_is_wrong_does_not_count_once_it_is_left_out(self, service):
        assert set(wrong_with(service)) == {CheckName.WORKER, CheckName.BEAT}
        assert all(check.ok for check in service.check(without={CheckName.WORKER, CheckName.BEAT}))


@pytest.mark.parametrize(("name", "part"), [(CheckName.WORKER, Part.WORKER), (CheckName.BEAT, Part.BEAT)])
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

        (other,) = set(Part) - {part}
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
        # Whether their table is there already is not known.
        unknown = [CheckName.WORKER, CheckName.BEAT, CheckName.DAILY_LOG]
        assert wrong == dict.fromkeys(unknown, "cannot be looked for in the database")

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
            CheckName.MIGRATIONS: "cannot be looked at while the database does not answer",
            CheckName.WORKER: "cannot be looked for in the database",
            CheckName.BEAT: "cannot be looked for in the database",
            CheckName.DAILY_LOG: "cannot be looked for in the database",
        }

    def test_what_does_not_need_it_is_measured(self, service_without_database, job_queue):
        job_queue.enqueue(JobName.LOG_DUE_DAYS)

        figures = service_without_database.measure()

        assert (figures.work, figures.queue_length) == (None, 1)
        assert {check.name for check in figures.checks if check.ok} == {CheckName.REDIS, CheckName.BROKER}


class TestCountJob:
    def test_jobs_add_up_by_name_and_result(self, service):
        service.count_job(JOB, JobResult.SUCCEEDED, seconds=0.25)
        service.count_job(JOB, JobResult.SUCCEEDED, seconds=0.5)
        service.count_job(JOB, JobResult.FAILED, seconds=4.0)
        service.count_job("another", JobResult.SUCCEEDED, seconds=1.0)

        assert job_counts(service) == [
            ("another", JobResult.SUCCEEDED, 1, 1.0),
            (JOB, JobResult.SUCCEEDED, 2, 0.75),
            (JOB, JobResult.FAILED, 1, 4.0),
        ]

    @pytest.mark.parametrize("result", list(JobResult))
    def test_whoever_did_it_is_a_worker_at_work(self, service, seen, result):
        seen(Part.WORKER, seconds_ago=UNSEEN_SECONDS + 1)

        service.count_job(JOB, result, seconds=0.1)

        assert set(wrong_with(service)) == {CheckName.BEAT}

    def test_nothing_is_counted_before_the_first(self, service):
        assert job_counts(service) == []


class TestMeasure:
    def test_the_checks_are_those_that_readiness_tells(self, service, everybody_at_work):
        assert service.measure().checks == service.check()

    def test_what_waits_is_counted(self, service, job_queue):
        for _ in range(3):
            job_queue.enqueue(JobName.RUN_IMPORTS)

        assert service.measure().queue_length == 3

    def test_without_a_broker_nobody_knows_what_waits(self, service_with):
        figures = service_with(job_queue=SilentJobQueue()).measure()

        assert figures.queue_length is None
        assert figures.work is not None

    def test_while_the_schema_is_behind_nothing_is_known_of_the_work(self, service, migrate_to):
        migrate_to(OLDER)

        assert service.measure().work is None

    def test_who_was_seen_is_told_with_the_time(self, service, seen):
        seen(Part.BEAT, seconds_ago=30)

        sightings = service.measure().work.sightings

        assert set(sightings) == {Part.BEAT}
        assert sightings[Part.BEAT].seconds_ago == 30
        assert abs(datetime.now(UTC) - sightings[Part.BEAT].at - timedelta(seconds=30)) < timedelta(seconds=20)


class TestImportRows:
    def test_are_none_before_the_first_file(self, service):
        assert import_rows(service) == ImportRows(0, 0, 0, 0)

    def test_add_up_over_files(self, service, upload):
        upload(created_count=1, updated_count=20, skipped_count=300, refused_count=4000)
        upload(created_count=5, updated_count=60, skipped_count=700, refused_count=8000)

        assert import_rows(service) == ImportRows(6, 80, 1000, 12000)

    def test_of_a_file_that_was_only_checked_do_not_count(self, service, upload):
        upload(is_dry_run=True, created_count=7)

        assert import_rows(service) == ImportRows(0, 0, 0, 0)

    @pytest.mark.parametrize("state", list(ImportState))
    def test_that_each_land_by_themselves_count_at_once(self, service, upload, state):
        upload(state=state, mode=ImportMode.SKIP_BAD, created_count=7)

        assert import_rows(service).created == 7

    @pytest.mark.parametrize("state", [state for state in ImportState if state is not ImportState.FINISHED])
    def test_of_a_file_taken_whole_or_not_at_all_wait_for_its_end(self, service, upload, state):
        upload(state=state, mode=ImportMode.ALL_OR_NOTHING, created_count=7)

        assert import_rows(service).created == 0

    def test_never_become_fewer_when_a_file_begins_anew(self, service, upload, session):
        task_import = upload(state=ImportState.LOADING, mode=ImportMode.ALL_OR_NOTHING, created_count=5)
        told = [import_rows(service).created]
        for state, count in ((ImportState.LOADING, 0), (ImportState.LOADING, 6), (ImportState.FINISHED, 9)):
            task_import.state, task_import.created_count = state, count
            session.flush()
            told.append(import_rows(service).created)

        assert told == [0, 0, 0, 9]


class TestUnfinishedImports:
    def test_each_state_is_told_though_nothing_is_in_it(self, service):
        assert service.measure().work.unfinished_imports == {
            ImportState.STAGING: 0,
            ImportState.CHECKING: 0,
            ImportState.LOADING: 0,
        }

    def test_are_counted_by_state_and_those_that_ended_are_not(self, service, upload):
        for state in (ImportState.STAGING, ImportState.LOADING, ImportState.LOADING):
            upload(state=state)
        for state in (ImportState.FINISHED, ImportState.FAILED):
            upload(state=state)

        assert service.measure().work.unfinished_imports == {
            ImportState.STAGING: 1,
            ImportState.CHECKING: 0,
            ImportState.LOADING: 2,
        }


class TestLoggedUntil:
    def test_is_none_before_the_first_day(self, service):
        assert service.measure().work.logged_until is None

    def test_is_the_end_of_the_newest_day_that_is_logged_for_good(self, service, log_run):
        log_run(DAY, is_final=True)
        log_run(DAY - timedelta(days=1), is_final=True)
        log_run(DAY + timedelta(days=1), is_final=False)

        assert service.measure().work.logged_until == datetime(2026, 3, 10, tzinfo=UTC)

    def test_is_none_while_the_only_day_lasts(self, service, log_run):
        log_run(DAY, is_final=False)

        assert service.measure().work.logged_until is None

    @pytest.mark.parametrize(
        ("zone", "day", "end"),
        [
            ("Pacific/Auckland", date(2026, 3, 9), datetime(2026, 3, 9, 11, tzinfo=UTC)),
            ("America/New_York", date(2026, 1, 31), datetime(2026, 2, 1, 5, tzinfo=UTC)),
            # Days of 23 and of 25 hours.
            ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 29, 22, tzinfo=UTC)),
            ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 25, 23, tzinfo=UTC)),
        ],
    )
    def test_is_a_midnight_of_the_zone_that_the_day_was_logged_in(self, service, log_run, zone, day, end):
        log_run(day - timedelta(days=1), is_final=True)
        log_run(day, is_final=True, time_zone=zone)

        assert service.measure().work.logged_until == end


class TestDailyLog:
    """The record begins on the 9th."""

    @pytest.fixture(autouse=True)
    def everybody_is_at_work(self, everybody_at_work):
        pass

    def test_without_a_task_no_day_is_missed(self, service, clock):
        clock.now = END_OF_DAY + timedelta(days=300)

        assert wrong_with(service) == {}
        assert service.measure().work.overdue_days == 0

    @pytest.mark.usefixtures("first_task")
    def test_a_day_is_given_an_hour_after_its_end(self, service, clock):
        clock.now = END_OF_DAY + OVERDUE_AFTER

        assert wrong_with(service) == {}

    @pytest.mark.usefixtures("first_task")
    def test_a_day_that_is_not_logged_by_then_is_named(self, service, clock):
        clock.now = END_OF_DAY + OVERDUE_AFTER + INSTANT

        assert wrong_with(service) == {CheckName.DAILY_LOG: "2026-03-09 is over and has not been logged"}
        assert service.measure().work.overdue_days == 1

    @pytest.mark.usefixtures("first_task")
    def test_one_that_was_logged_while_it_lasted_is_not_logged_yet(self, service, clock, log_run):
        clock.now = END_OF_DAY + timedelta(hours=2)
        log_run(DAY, is_final=False)

        assert set(wrong_with(service)) == {CheckName.DAILY_LOG}

    @pytest.mark.usefixtures("first_task")
    def test_a_day_among_others_that_were_logged_is_found(self, service, clock, log_run):
        clock.now = END_OF_DAY + timedelta(days=4)
        for number in (0, 2, 4):
            log_run(DAY + timedelta(days=number), is_final=True)

        assert wrong_with(service) == {
            CheckName.DAILY_LOG: "2 days are over and have not been logged, the first of them 2026-03-10"
        }

    @pytest.mark.usefixtures("first_task")
    def test_it_is_right_again_once_all_are_logged(self, service, services, clock):
        clock.now = END_OF_DAY + timedelta(days=4)
        services.daily_log.log_due_days()

        assert wrong_with(service) == {}

    def test_a_day_that_the_zone_left_out_is_not_missed(self, service_with, clock, factories, log_run):
        """Samoa had no 30th of December 2011."""
        factories.Task(revised_at=datetime(2011, 12, 29, 12, tzinfo=UTC))
        clock.now = datetime(2012, 1, 1, 0, tzinfo=UTC)
        for number in (29, 31):
            log_run(date(2011, 12, number), is_final=True)

        assert wrong_with(service_with(time_zone=ZoneInfo("Pacific/Apia"))) == {}

    @pytest.fixture
    def first_task(self, factories):
        return factories.Task(revised_at=END_OF_DAY - timedelta(hours=12))


class SilentJobQueue(FakeJobQueue):
    """Of a broker that does not answer."""

    def count_waiting(self):
        return None


def wrong_with(service):
    return {check.name: check.reason for check in service.check() if not check.ok}


def job_counts(service):
    counts = service.measure().work.job_counts
    return [(counted.job, counted.result, counted.count, counted.seconds) for counted in counts]


def import_rows(service):
    return service.measure().work.import_rows


@pytest.fixture
def service(services):
    return services.health


@pytest.fixture
def service_with(settings, connection, redis):
    """On other settings, or with another queue."""
    with ExitStack() as stack:

        def make(*, job_queue=None, **changes):
            resources = Resources(replace(settings, **changes), job_queue=job_queue or FakeJobQueue())
            resources.new_session = make_session_factory(connection)
            stack.callback(resources.engine.dispose)
            return stack.enter_context(serving(resources)).health

        yield make


@pytest.fixture
def service_without_database(settings, closed_port, job_queue, redis):
    away = f"postgresql+psycopg2://nobody@127.0.0.1:{closed_port}/none"
    resources = Resources(replace(settings, database_url=away), job_queue=job_queue)
    with serving(resources) as services:
        yield services.health
    resources.engine.dispose()


@pytest.fixture
def everybody_at_work(service):
    for part in Part:
        service.see(part)


@pytest.fixture
def seen(connection):
    """Says when a part was last seen."""

    def set_seen(part, *, seconds_ago):
        connection.execute(
            text("""
                INSERT INTO sightings (part, seen_at) VALUES (:part, now() - make_interval(secs => :seconds))
                ON CONFLICT (part) DO UPDATE SET seen_at = excluded.seen_at
            """),
            {"part": part.value, "seconds": seconds_ago},
        )

    return set_seen


@pytest.fixture
def forget(connection):
    return lambda part: connection.execute(text("DELETE FROM sightings WHERE part = :part"), {"part": part.value})


@pytest.fixture
def migrate_to(connection):
    """Says which migration the database has; its tables stay as they are."""
    return lambda migration: connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": migration})


@pytest.fixture
def upload(session, factories):
    def make(*, state=ImportState.FINISHED, **values):
        ended = {"finished_at": datetime.now(UTC)} if state in {ImportState.FINISHED, ImportState.FAILED} else {}
        task_import = TaskImport(
            creator_id=factories.User().id,
            project_id=general_project(session).id,
            filename="rows.csv",
            state=state,
            **ended,
            **values,
        )
        session.add(task_import)
        session.flush()
        return task_import

    return make


@pytest.fixture
def log_run(session):
    def make(day, *, is_final, time_zone="UTC"):
        moment = datetime.combine(day, datetime.min.time(), tzinfo=UTC)
        session.add(
            LogRun(
                log_date=day,
                time_zone=time_zone,
                started_at=moment,
                finished_at=moment,
                task_count=1,
                source=LogSource.SCHEDULED,
                is_final=is_final,
            )
        )
        session.flush()

    return make


@pytest.fixture
def closed_port():
    """Nobody listens on it, and nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def frozen_port():
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as frozen:
        yield frozen.getsockname()[1]
