# ruff: noqa: PT012 - a block that raises is what these tests are about
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import IntegrityError

from app.database.engine import JOB_TIMEOUTS, make_engine, make_session_factory, violated_constraint
from app.database.unit_of_work import UnitOfWork
from app.errors import StatementTooSlowError, UnavailableError
from app.events import TaskChanged
from app.models.projects.project import Project
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task

SYNCHRONOUS_COMMIT = text("SELECT current_setting('synchronous_commit')")


class TestTransaction:
    def test_commits_when_the_block_ends(self, uow, own_session, session):
        with uow.transaction():
            own_session.add(Project(key="OPS", name="Operations"))

        assert not own_session.in_transaction()
        assert count_projects(session, "OPS") == 1

    def test_rolls_everything_back_when_the_block_raises(self, uow, own_session, session):
        with pytest.raises(ZeroDivisionError), uow.transaction():
            own_session.add(Project(key="OPS", name="Operations"))
            own_session.flush()
            raise ZeroDivisionError

        assert count_projects(session, "OPS") == 0

    def test_rolls_back_on_an_interrupt(self, uow, own_session, session):
        with pytest.raises(KeyboardInterrupt), uow.transaction():
            own_session.add(Project(key="OPS", name="Operations"))
            own_session.flush()
            raise KeyboardInterrupt

        assert count_projects(session, "OPS") == 0

    def test_a_nested_transaction_is_refused_and_the_outer_one_rolled_back(self, uow, own_session, session):
        with pytest.raises(RuntimeError, match="do not nest"), uow.transaction():
            own_session.add(Project(key="OPS", name="Operations"))
            own_session.flush()
            with uow.transaction():
                pass

        assert count_projects(session, "OPS") == 0

    def test_a_transaction_may_follow_one_that_failed(self, uow, own_session, session):
        with pytest.raises(ZeroDivisionError), uow.transaction():
            raise ZeroDivisionError

        with uow.transaction():
            own_session.add(Project(key="OPS", name="Operations"))

        assert count_projects(session, "OPS") == 1

    def test_loaded_rows_can_be_read_after_the_commit(self, uow, own_session):
        project = Project(key="OPS", name="Operations")
        with uow.transaction():
            own_session.add(project)

        assert project.name == "Operations"
        assert not own_session.in_transaction()


class TestPublish:
    def test_an_event_is_released_after_the_commit(self, own_session):
        was_open = []
        uow = UnitOfWork(own_session, lambda _event: was_open.append(own_session.in_transaction()))

        with uow.transaction():
            own_session.execute(text("SELECT 1"))
            uow.publish(TaskChanged(1))
            assert was_open == []

        assert was_open == [False]

    def test_events_are_released_in_order(self, uow, released):
        with uow.transaction():
            uow.publish(TaskChanged(1))
            uow.publish(TaskChanged(2))

        assert released == [TaskChanged(1), TaskChanged(2)]

    def test_a_rollback_drops_the_events(self, uow, released):
        with pytest.raises(ZeroDivisionError), uow.transaction():
            uow.publish(TaskChanged(1))
            raise ZeroDivisionError
        with uow.transaction():
            pass

        assert released == []

    def test_a_commit_that_fails_releases_nothing(self, uow, own_session, released):
        with pytest.raises(IntegrityError), uow.transaction():
            uow.publish(TaskChanged(1))
            own_session.add(Project(key="GEN", name="A second one"))

        assert released == []

    def test_publishing_outside_a_transaction_is_a_mistake(self, uow):
        with pytest.raises(RuntimeError, match="inside a transaction"):
            uow.publish(TaskChanged(1))

    def test_publishing_after_a_transaction_is_a_mistake(self, uow, released):
        with uow.transaction():
            pass

        with pytest.raises(RuntimeError):
            uow.publish(TaskChanged(1))
        assert released == []

    def test_a_reaction_may_start_a_transaction_of_its_own(self, own_session):
        seen = []

        def react(_event):
            with uow.transaction():
                seen.append(own_session.scalar(text("SELECT 1")))

        uow = UnitOfWork(own_session, react)
        with uow.transaction():
            uow.publish(TaskChanged(1))

        assert seen == [1]


class TestSign:
    def test_the_signature_lasts_until_the_end_of_the_transaction(self, own_session):
        uow = UnitOfWork(own_session, print, request_id="request-7")

        with uow.transaction():
            uow.sign(42)
            assert signature(own_session) == ("42", "request-7")

    def test_a_transaction_by_an_actor_is_signed(self, own_session, factories, acting_as):
        actor = acting_as(factories.User())
        uow = UnitOfWork(own_session, print, request_id="request-7")

        with uow.transaction(by=actor):
            assert signature(own_session) == (str(actor.user_id), "request-7")

    @pytest.mark.parametrize(
        "change",
        [lambda _session, task: setattr(task, "title", "Another"), lambda session, task: session.delete(task)],
        ids=["changed", "deleted"],
    )
    def test_a_task_cannot_be_changed_without_a_signature(self, own_session, factories, change):
        task = own_session.get(Task, factories.Task().id)
        uow = UnitOfWork(own_session, print)

        with pytest.raises(RuntimeError, match="needs an actor"), uow.transaction():
            change(own_session, task)

    def test_a_task_cannot_be_created_without_a_signature(self, own_session):
        task = Task(project_id=1, number=1, title="One", status=TaskStatus.TODO, priority=TaskPriority.LOW)
        uow = UnitOfWork(own_session, print)

        with pytest.raises(RuntimeError, match="needs an actor"), uow.transaction():
            own_session.add(task)

    def test_another_request_may_be_named(self, own_session):
        uow = UnitOfWork(own_session, print, request_id="job-1")

        with uow.transaction():
            uow.sign(42, request_id="request-7")
            assert signature(own_session) == ("42", "request-7")

    @pytest.mark.parametrize("error", [None, ZeroDivisionError])
    def test_the_next_transaction_on_the_connection_is_unsigned(self, committing_engine, error):
        with make_session_factory(committing_engine)() as session:
            uow = UnitOfWork(session, print, request_id="request-7")
            with suppress(ZeroDivisionError), uow.transaction():
                uow.sign(42)
                if error is not None:
                    raise error

            with uow.transaction():
                assert signature(session) == ("", "")


class TestUnavailable:
    def test_an_absent_server_is_reported_with_a_time_to_retry(self, unreachable_engine, released):
        with make_session_factory(unreachable_engine)() as session:
            uow = UnitOfWork(session, released.append)

            with pytest.raises(UnavailableError) as caught, uow.transaction():
                uow.publish(TaskChanged(1))
                session.execute(text("SELECT 1"))

        assert caught.value.retry_after_seconds > 0
        assert released == []

    def test_the_answer_does_not_name_the_server(self, unreachable_engine):
        with make_session_factory(unreachable_engine)() as session:
            uow = UnitOfWork(session, print)

            with pytest.raises(UnavailableError) as caught, uow.transaction():
                session.execute(text("SELECT 1"))

        assert "127.0.0.1" not in caught.value.detail

    def test_the_next_transaction_replaces_a_broken_connection(self, committing_engine):
        with make_session_factory(committing_engine)() as session:
            uow = UnitOfWork(session, print)

            with pytest.raises(UnavailableError), uow.transaction():
                session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
            with uow.transaction():
                answer = session.scalar(text("SELECT 1"))

        assert answer == 1

    def test_a_statement_that_takes_too_long_is_given_up(self, uow, own_session):
        with pytest.raises(StatementTooSlowError, match="ask for less"), uow.transaction():
            own_session.execute(text("SET LOCAL statement_timeout = '10ms'"))
            own_session.execute(text("SELECT pg_sleep(10)"))

    def test_the_server_has_a_time_limit_of_its_own(self, committing_engine):
        with committing_engine.connect() as connection:
            limits = [
                connection.scalar(text(f"SHOW {name}"))
                for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "timezone")
            ]

        assert limits == ["5min", "5s", "1min", "UTC"]

    def test_a_deadlock_is_answered_as_what_it_is(self, database_url):
        engine = make_engine(database_url, pool_size=2, timeouts=JOB_TIMEOUTS)
        barrier = Barrier(2, timeout=20)

        def lock_two(first, second):
            with make_session_factory(engine)() as session:
                try:
                    with UnitOfWork(session, print).transaction():
                        session.execute(text(f"SELECT pg_advisory_xact_lock({first})"))
                        barrier.wait()
                        session.execute(text(f"SELECT pg_advisory_xact_lock({second})"))
                except UnavailableError as error:
                    return error.code, error.detail
            return None

        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(lock_two, (1, 2), (2, 1)))
        engine.dispose()

        refused = ("changes_collided", "two changes were in each other's way, and this one was not made; try again")
        assert sorted(answers, key=str) == sorted([None, refused], key=str)


class TestViolatedConstraint:
    def test_returns_the_name_that_postgresql_reports(self, own_session):
        own_session.add(Project(key="GEN", name="A second one"))

        with pytest.raises(IntegrityError) as caught:
            own_session.flush()

        assert violated_constraint(caught.value) == "uq_projects_key"

    def test_returns_the_name_of_a_check(self, own_session):
        own_session.add(Project(key="lower case", name="Not a key"))

        with pytest.raises(IntegrityError) as caught:
            own_session.flush()

        assert violated_constraint(caught.value) == "ck_projects_key_format"

    def test_returns_none_when_the_driver_reports_no_name(self):
        assert violated_constraint(IntegrityError("INSERT", None, ValueError("no diagnostics"))) is None


def signature(session):
    names = ("tasktracker.actor_id", "tasktracker.request_id")
    return tuple(session.scalar(select(func.current_setting(name, True))) for name in names)


class TestTogether:
    def test_commits_all_transactions_at_the_end(self, uow, own_session, released, session):
        with uow.together():
            with uow.transaction():
                own_session.add(Project(key="OPS", name="Operations"))
                uow.publish(TaskChanged(1))
            with uow.single_statements():
                assert count_projects(own_session, "OPS") == 1
            assert released == []

        assert not own_session.in_transaction()
        assert count_projects(session, "OPS") == 1
        assert released == [TaskChanged(1)]

    def test_an_error_after_a_transaction_undoes_it(self, uow, own_session, released, session):
        with pytest.raises(ZeroDivisionError), uow.together():
            with uow.transaction():
                own_session.add(Project(key="OPS", name="Operations"))
                uow.publish(TaskChanged(1))
            raise ZeroDivisionError

        assert count_projects(session, "OPS") == 0
        assert released == []

    def test_a_failed_transaction_inside_cannot_be_passed_over(self, uow, own_session, session):
        def fail():
            with uow.transaction():
                own_session.add(Project(key="OPS", name="Operations"))
                raise ZeroDivisionError

        with pytest.raises(RuntimeError, match="failed"), uow.together(), suppress(ZeroDivisionError):
            fail()

        assert count_projects(session, "OPS") == 0

    def test_events_need_a_transaction_inside(self, uow):
        with uow.together():
            with uow.transaction():
                pass
            with pytest.raises(RuntimeError):
                uow.publish(TaskChanged(1))

    def test_waits_for_the_disk_whatever_a_statement_inside_has_set(self, committing_engine):
        session = make_session_factory(committing_engine)()
        uow, seen = UnitOfWork(session, lambda _event: None), []
        event.listen(session, "before_commit", lambda _s: seen.append(session.scalar(SYNCHRONOUS_COMMIT)))

        with uow.together(), uow.single_statements():
            session.execute(text("SELECT set_config('synchronous_commit', 'off', true)"))

        assert seen == ["on"]


class TestOlderSchema:
    @pytest.mark.parametrize(
        "statement",
        ["SELECT 1 FROM later_table", "SELECT later_column FROM projects"],
    )
    def test_a_database_that_is_not_migrated_is_unavailable(self, uow, own_session, statement):
        with pytest.raises(UnavailableError, match="not ready for this release"), uow.transaction():
            own_session.execute(text(statement))


def count_projects(session, key):
    return session.scalar(select(func.count()).select_from(Project).where(Project.key == key))


@pytest.fixture
def own_session(resources):
    with resources.new_session() as session:
        yield session


@pytest.fixture
def committing_engine(database_url):
    engine = make_engine(database_url, pool_size=1, timeouts=JOB_TIMEOUTS)
    yield engine
    engine.dispose()


@pytest.fixture
def unreachable_engine():
    """An engine for a port where nobody listens; the port is taken, so that nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        engine = make_engine(
            f"postgresql+psycopg2://app:secret@127.0.0.1:{taken.getsockname()[1]}/app",
            pool_size=1,
            timeouts=JOB_TIMEOUTS,
        )
        yield engine
        engine.dispose()
