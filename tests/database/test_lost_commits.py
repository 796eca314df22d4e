# ruff: noqa: PT012 - a block that raises is what these tests are about
import os
import signal
from contextlib import suppress

import pytest
from sqlalchemy import create_engine, delete, func, select, text
from sqlalchemy.exc import OperationalError

from app.database.engine import JOB_TIMEOUTS, make_engine, make_session_factory
from app.database.unit_of_work import UnitOfWork
from app.errors import OutcomeUnknownError, UnavailableError
from app.events import TaskChanged
from app.local.servers import PostgresServer
from app.models.projects.project import Project
from app.settings import psycopg2_url
from tests import servers
from tests.database.proxy import Cut, cutting_proxy
from tests.servers import wait_for


class TestLostCommit:
    def test_counts_as_done_when_the_change_was_made(self, proxy, uow, own_session, released, count_projects):
        proxy.cut(Cut.AFTER_THE_COMMIT)

        with uow.transaction():
            uow.sign(1)
            uow.publish(TaskChanged(1))
            own_session.add(Project(key="OPS", name="Operations"))

        assert count_projects("OPS") == 1
        assert released == [TaskChanged(1)]

    def test_has_no_effect_when_the_change_was_not_made(self, proxy, uow, own_session, released, count_projects):
        proxy.cut(Cut.BEFORE_THE_COMMIT)

        with pytest.raises(UnavailableError) as caught, uow.transaction():
            uow.sign(1)
            uow.publish(TaskChanged(1))
            own_session.add(Project(key="OPS", name="Operations"))

        assert caught.value.code == "unavailable"
        assert count_projects("OPS") == 0
        assert released == []

    @pytest.mark.parametrize("cut", Cut)
    def test_has_an_unknown_outcome_while_the_server_is_away(self, proxy, uow, own_session, cut):
        proxy.cut(cut, for_good=True)

        with pytest.raises(OutcomeUnknownError) as caught, uow.transaction():
            uow.sign(1)
            own_session.add(Project(key="OPS", name="Operations"))

        assert caught.value.code == "outcome_unknown"
        assert caught.value.retry_after_seconds > 0

    def test_has_an_unknown_outcome_when_the_transaction_has_no_number(self, proxy, uow, own_session):
        proxy.cut(Cut.AFTER_THE_COMMIT)

        with pytest.raises(OutcomeUnknownError), uow.transaction():
            own_session.add(Project(key="OPS", name="Operations"))

    def test_loses_nothing_when_the_transaction_only_read(self, proxy, uow, own_session):
        proxy.cut(Cut.BEFORE_THE_COMMIT)

        with pytest.raises(UnavailableError) as caught, uow.transaction():
            own_session.execute(text("SELECT 1"))

        assert caught.value.code == "unavailable"

    def test_leaves_the_session_usable(self, proxy, uow, own_session, count_projects):
        proxy.cut(Cut.AFTER_THE_COMMIT)
        with uow.transaction():
            uow.sign(1)
            own_session.add(Project(key="OPS", name="Operations"))

        with uow.transaction():
            own_session.add(Project(key="DEV", name="Development"))

        assert (count_projects("OPS"), count_projects("DEV")) == (1, 1)


class TestServerThatLostTheCommit:
    """The server process dies before the transaction reaches the disk; another one then gets the same number."""

    def test_the_outcome_is_unknown(self, crashing_server, monkeypatch):
        engine = make_engine(crashing_server, pool_size=1, timeouts=JOB_TIMEOUTS)
        with make_session_factory(engine)() as session:
            uow, released, numbers = UnitOfWork(session, lambda _event: released.append(1)), [], []
            ask = uow._learn_outcome

            def ask_after_another_has_committed():
                numbers.extend([uow._number.id, committed_number(crashing_server)])
                return ask()

            monkeypatch.setattr(uow, "_learn_outcome", ask_after_another_has_committed)

            with pytest.raises(OutcomeUnknownError), uow.transaction():
                uow.sign(1)
                uow.publish(TaskChanged(1))
                session.execute(text("INSERT INTO written VALUES (1)"))
                os.kill(session.scalar(text("SELECT pg_backend_pid()")), signal.SIGKILL)
        engine.dispose()

        # Both transactions had the same number, so the question really was ambiguous.
        assert numbers[0] == numbers[1]
        assert released == []


def committed_number(url):
    """Commit a transaction as soon as the server accepts one, and return its number."""
    engine, numbers = create_engine(url), []

    def commit():
        with suppress(OperationalError), engine.begin() as connection:
            insert = text("INSERT INTO written VALUES (2) RETURNING CAST(pg_current_xact_id() AS text)")
            numbers.append(connection.scalar(insert))
        return numbers

    assert wait_for(commit)
    engine.dispose()
    return numbers[0]


@pytest.fixture
def crashing_server(tmp_path):
    server = PostgresServer(tmp_path / "postgres", servers.own_user())
    url = psycopg2_url(server.url.replace("//tasktracker@/tasktracker", "//postgres@/postgres"))
    with servers.running(server):
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            # Unflushed commits stay in memory until the test is over.
            for setting in ("wal_writer_delay = '10s'", "wal_writer_flush_after = '1GB'"):
                connection.execute(text(f"ALTER SYSTEM SET {setting}"))
            connection.execute(text("SELECT pg_reload_conf()"))
            connection.execute(text("CREATE TABLE written (number int)"))
            connection.execute(text("CHECKPOINT"))
        engine.dispose()
        yield url


@pytest.fixture(scope="module")
def own_database_url(postgres_url):
    with servers.migrated_database(postgres_url) as url:
        yield url


@pytest.fixture
def proxy(own_database_url):
    with cutting_proxy(own_database_url) as proxy:
        yield proxy


@pytest.fixture
def own_session(proxy):
    engine = make_engine(proxy.url, pool_size=1, timeouts=JOB_TIMEOUTS)
    with make_session_factory(engine)() as session:
        yield session
    engine.dispose()


@pytest.fixture
def count_projects(own_database_url):
    """Count the projects with a key, on a connection that does not use the proxy."""
    engine = make_engine(own_database_url, pool_size=1, timeouts=JOB_TIMEOUTS)

    def count(key):
        with engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(Project).where(Project.key == key))

    yield count
    engine.dispose()


@pytest.fixture(autouse=True)
def _tidy(own_database_url):
    yield
    engine = make_engine(own_database_url, pool_size=1, timeouts=JOB_TIMEOUTS)
    with engine.begin() as connection:
        connection.execute(delete(Project).where(Project.key != "GEN"))
    engine.dispose()
