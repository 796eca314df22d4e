"""A database that is locked, full or away for a while costs an import only time."""

import io
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.composition.services import serving
from app.errors import UnavailableError
from app.models.imports.task_import import ImportBlock, ImportMode, TaskImport
from app.models.people.user import Role
from app.models.tasks.task import Task
from app.services.imports.imports import ImportOptions
from app.services.imports.runs import LEASE, MAX_FAILED_ATTEMPTS
from tests import factories as all_factories
from tests import servers
from tests.factories import general_project

ROWS = 5
# More faults than the attempts that a file may use up.
FAULTS = MAX_FAILED_ATTEMPTS + 3


class TestPassingFault:
    @pytest.mark.parametrize("fault", ["locked", "full", "slow"])
    def test_the_import_is_done_after_any_number_of_faults(self, resources, database, clock, stage, fault):
        import_id = stage()

        with database.failing(fault):
            for _ in range(FAULTS):
                with serving(resources) as services, pytest.raises(UnavailableError):
                    services.import_runs.run_waiting()
                clock.advance(seconds=LEASE.total_seconds() + 1)

        assert database.ask(select(TaskImport.failed_attempts)) == [0]
        assert len(database.ask(select(ImportBlock.number))) > 0
        run(resources)
        assert database.ask(select(TaskImport.state).where(TaskImport.id == import_id)) == ["finished"]
        assert database.ask(select(func.count()).select_from(Task)) == [ROWS]

    def test_a_fault_while_the_request_waits_is_not_an_attempt(self, resources, database, stage):
        with database.failing("full"):
            import_id = stage(wait_seconds=2)

        assert database.ask(select(TaskImport.failed_attempts).where(TaskImport.id == import_id)) == [0]

    def test_attempts_before_and_after_a_fault_count(self, resources, database, clock, stage):
        """A fault does not erase an attempt that broke off because of the file itself."""
        stage()
        for fault in ("odd", "locked", "odd"):
            with database.failing(fault), serving(resources) as services, pytest.raises(Exception, match=r".+"):
                services.import_runs.run_waiting()
            clock.advance(seconds=LEASE.total_seconds() + 1)

        assert database.ask(select(TaskImport.failed_attempts)) == [2]


class TestFileThatBreaksTheWork:
    @pytest.mark.parametrize("mode", ImportMode)
    def test_is_given_up_after_too_many_attempts(self, resources, database, clock, stage, mode):
        import_id = stage(mode=mode)
        broken_off = 0

        with database.failing("odd"):
            for _ in range(FAULTS):
                try:
                    run(resources)
                except Exception:  # noqa: BLE001 - whatever it is that the database says
                    broken_off += 1
                clock.advance(seconds=LEASE.total_seconds() + 1)

        assert broken_off == MAX_FAILED_ATTEMPTS
        failures = database.ask(select(TaskImport.failure).where(TaskImport.id == import_id))
        assert failures == ["5 attempts to go on from row 1 broke off"]


class Database:
    """A database whose tasks cannot be written for a while."""

    def __init__(self, resources):
        self._resources = resources

    def ask(self, statement):
        with self._resources.new_session() as session:
            return session.scalars(statement).all()

    @contextmanager
    def failing(self, fault):
        if fault == "locked":
            with self._resources.engine.connect() as connection:
                connection.execute(text("LOCK TABLE tasks"))
                yield
            return
        failure = {
            "full": "RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'",
            "slow": "RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = 'query_canceled'",
            "odd": "RAISE EXCEPTION 'this row is too much for me'",
        }[fault]
        function = f"CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {failure}; END $$"
        self._execute(function)
        self._execute("CREATE TRIGGER fail BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION fail()")
        yield
        self._execute("DROP TRIGGER fail ON tasks")

    def _execute(self, statement):
        with self._resources.engine.begin() as connection:
            connection.execute(text(statement))


def run(resources):
    with serving(resources) as services:
        services.import_runs.run_waiting()


@pytest.fixture
def resources(base_settings, postgres_url, job_queue, redis, clock):
    with servers.migrated_database(postgres_url) as url:
        resources = Resources(replace(base_settings, database_url=url), job_queue=job_queue, clock=clock)

        @event.listens_for(resources.engine, "connect")
        def wait_for_no_lock(connection, _record):
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")
            connection.commit()

        yield resources
        resources.engine.dispose()


@pytest.fixture
def database(resources):
    return Database(resources)


@pytest.fixture
def stage(resources):
    """Send a small file; return the import's id."""
    with Session(resources.engine, expire_on_commit=False) as session:
        all_factories.bind(session)
        user = all_factories.User(role=Role.MANAGER)
        login_session = all_factories.LoginSession(user_id=user.id)
        session.commit()
        actor = Actor(user.id, user.username, user.role, frozenset({general_project(session).id}), login_session.id)

    def send(*, wait_seconds=0, **options):
        lines = ["task_name", *map(str, range(ROWS)), ""]
        with serving(resources) as services:
            outcome = services.imports.import_csv(
                actor,
                io.BytesIO("\n".join(lines).encode()),
                filename="tasks.csv",
                options=ImportOptions(**options),
                wait_seconds=wait_seconds,
            )
            return outcome.import_id

    return send
