"""A frozen server: its sockets stay open, its kernel accepts connections, and nobody answers."""

import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from app.database.deadlines import Deadlines
from app.database.engine import JOB_TIMEOUTS, make_engine, make_session_factory
from app.database.unit_of_work import UnitOfWork
from app.errors import UnavailableError
from app.local.servers import PostgresServer
from app.settings import psycopg2_url
from tests import servers
from tests.servers import own_user, wait_for

# The code promises three seconds; a busy machine needs more. Without a deadline a frozen server blocks for ever.
SOON_SECONDS = 8.0


class TestFrozenServer:
    def test_a_running_statement_is_given_up_when_the_server_freezes(self, engine, frozen, outcome_of):
        outcome = outcome_of(lambda session: session.execute(text("SELECT pg_sleep(60)")))
        assert wait_for(lambda: engine.pool.checkedout() == 1)

        with frozen():
            assert outcome.is_over_within(SOON_SECONDS)

        assert isinstance(outcome.error, UnavailableError)

    def test_a_new_statement_is_given_up(self, engine, frozen, outcome_of):
        assert outcome_of(lambda session: session.execute(text("SELECT 1"))).is_over_within(SOON_SECONDS)

        with frozen():
            outcome = outcome_of(lambda session: session.execute(text("SELECT 1")))
            assert outcome.is_over_within(SOON_SECONDS)

        assert isinstance(outcome.error, UnavailableError)

    def test_later_callers_are_refused_at_once_until_the_server_answers_again(self, frozen, outcome_of):
        with frozen():
            first = outcome_of(lambda session: session.execute(text("SELECT 1")))
            assert first.is_over_within(SOON_SECONDS)
            second = outcome_of(lambda session: session.execute(text("SELECT 1")))
            assert second.is_over_within(SOON_SECONDS)
            # Refused before anything is sent.
            assert second.error.detail == "the database does not answer"

        assert wait_for(lambda: answers(outcome_of), seconds=SOON_SECONDS)


class TestBusyServer:
    def test_a_long_statement_may_finish_while_the_server_answers(self, engine, outcome_of):
        long = outcome_of(lambda session: session.scalar(text("SELECT 'done' FROM pg_sleep(3)")))

        assert long.is_over_within(SOON_SECONDS)
        assert long.error is None

    def test_a_statement_over_the_limit_is_given_up(self, engine):
        now = time.monotonic()
        deadlines = Deadlines(engine, longest_seconds=30, now=lambda: now)
        failed = threading.Event()

        def wait():
            try:
                with make_session_factory(engine)() as session, UnitOfWork(session, print).transaction():
                    session.execute(text("SELECT pg_sleep(60)"))
            except UnavailableError:
                failed.set()

        threading.Thread(target=wait, daemon=True).start()

        def is_given_up():
            nonlocal now
            now += 31
            deadlines.look()
            return failed.is_set()

        assert wait_for(is_given_up)


class TestEndedConnection:
    def test_is_replaced_before_the_next_use(self, engine):
        with engine.connect() as connection:
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with engine.connect() as other, engine.connect() as connection:
            assert connection.scalar(text("SELECT pg_backend_pid()")) != pid
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            other.invalidate()

        with engine.connect() as connection:
            assert connection.scalar(text("SELECT 1")) == 1


class Outcome:
    """The outcome of a use case that another thread tries."""

    def __init__(self, engine, use_case):
        self.error = None
        self._thread = threading.Thread(target=self._try, args=(engine, use_case), daemon=True)
        self._thread.start()

    def is_over_within(self, seconds):
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _try(self, engine, use_case):
        try:
            with make_session_factory(engine)() as session, UnitOfWork(session, print).transaction():
                use_case(session)
        except UnavailableError as error:
            self.error = error


def answers(outcome_of):
    outcome = outcome_of(lambda session: session.execute(text("SELECT 1")))
    return outcome.is_over_within(SOON_SECONDS) and outcome.error is None


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = PostgresServer(tmp_path_factory.mktemp("frozen"), own_user())
    with servers.running(server) as process:
        server.make_database()
        yield server, process


@pytest.fixture
def engine(server):
    engine = make_engine(psycopg2_url(server[0].url), pool_size=5, timeouts=JOB_TIMEOUTS)
    yield engine
    engine.dispose()


@pytest.fixture
def outcome_of(engine):
    Deadlines(engine, longest_seconds=60).start()
    return lambda use_case: Outcome(engine, use_case)


@pytest.fixture
def frozen(server):
    pid = server[0].running_pid()

    @contextmanager
    def freeze():
        # Stop the postmaster first, so that it forks no more children. Its list of children may miss some while others
        # end, so we remember those that we stopped.
        stopped = [pid]
        os.kill(pid, signal.SIGSTOP)
        try:
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                os.kill(int(child), signal.SIGSTOP)
                stopped.append(int(child))
            yield
        finally:
            for one in reversed(stopped):
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGCONT)

    return freeze
