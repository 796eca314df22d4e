from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.composition.services import serving
from app.job_queue import JobName
from app.repositories.daily_log.days import LOG_LOCK
from tests import servers
from tests.services.daily_log.days.march import MIDNIGHT, NOON, TODAY, YESTERDAY, days_and_tasks, logged, make_tasks

pytestmark = pytest.mark.usefixtures("factories", "clock")


class TestOpenTransactions:
    """Each test has a database of its own, where another transaction is open when a day should be closed."""

    def test_a_run_leaves_the_day_to_another_run_at_work(self, own_resources, other_connection):
        log_due_days(own_resources)  # makes the partitions, for which it waits
        expected = make_tasks(own_resources, 2)
        other_connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOG_LOCK})

        assert log_due_days(own_resources) == []
        other_connection.rollback()
        assert log_due_days(own_resources) == [YESTERDAY]

        assert days_and_tasks(own_resources) == [(YESTERDAY, task_id) for task_id in expected]

    def test_a_run_at_work_serves_a_request_that_comes_in(self, own_resources, other_connection, manager, job_queue):
        """The job of the request leaves the day to the run at work, which has already looked for requests."""
        make_tasks(own_resources, 2)
        other_connection.execute(text("LOCK TABLE log_runs IN SHARE MODE"))
        with ThreadPoolExecutor(1) as threads:
            run = threads.submit(log_due_days, own_resources)
            assert servers.wait_for(lambda: is_waiting_for_lock(own_resources))
            with serving(own_resources) as services:
                services.daily_log.request_day(manager, None)
            assert log_due_days(own_resources) == []
            job_queue.enqueued.clear()
            other_connection.rollback()

            assert run.result() == [YESTERDAY]

        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]
        assert log_due_days(own_resources) == [TODAY]

    def test_a_transaction_that_has_written_keeps_the_day_open_and_its_change_counts(
        self, own_resources, other_connection
    ):
        first, second = make_tasks(own_resources, 2)
        own_resources.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, first, "Late")
        own_resources.clock.now = MIDNIGHT + timedelta(minutes=1)

        assert log_due_days(own_resources) == []
        assert days_and_tasks(own_resources) == []
        other_connection.commit()
        assert log_due_days(own_resources) == [YESTERDAY]

        assert days_and_tasks(own_resources) == [(YESTERDAY, first), (YESTERDAY, second)]
        with own_resources.new_session() as session:
            assert logged(session, YESTERDAY)[first].title == "Late"

    def test_a_change_after_midnight_counts_from_midnight(self, own_resources, other_connection):
        [task] = make_tasks(own_resources, 1)
        own_resources.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "Before")
        own_resources.clock.now = MIDNIGHT + timedelta(minutes=1)
        log_due_days(own_resources)
        # The transaction's now() is the time at which it began.
        own_resources.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "After")
        other_connection.commit()
        own_resources.clock.now = MIDNIGHT + timedelta(minutes=1)

        assert log_due_days(own_resources) == [YESTERDAY]

        with own_resources.new_session() as session:
            assert logged(session, YESTERDAY)[task].title == "Before"
        assert versions_of(own_resources, task)[1:] == [
            ("Before", MIDNIGHT - timedelta(seconds=30)),
            ("After", MIDNIGHT),
        ]

    def test_a_rolled_back_transaction_leaves_the_day_unchanged(self, own_resources, other_connection):
        [task] = make_tasks(own_resources, 1)
        own_resources.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "Never")
        own_resources.clock.now = MIDNIGHT + timedelta(minutes=1)
        assert log_due_days(own_resources) == []
        other_connection.rollback()

        assert log_due_days(own_resources) == [YESTERDAY]

        with own_resources.new_session() as session:
            assert logged(session, YESTERDAY)[task].title != "Never"

    def test_a_first_write_after_the_day_is_closed_counts_from_its_end(self, own_resources, other_connection):
        [task] = make_tasks(own_resources, 1)
        own_resources.clock.now = MIDNIGHT - timedelta(seconds=30)
        other_connection.execute(text("SELECT FROM tasks"))
        own_resources.clock.now = MIDNIGHT + timedelta(minutes=1)
        assert log_due_days(own_resources) == [YESTERDAY]
        # The transaction's now() is the time at which it began.
        own_resources.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "Late")
        other_connection.commit()
        own_resources.clock.now = NOON + timedelta(days=1)

        assert log_due_days(own_resources) == [TODAY]

        with own_resources.new_session() as session:
            assert logged(session, YESTERDAY)[task].title != "Late"
            assert logged(session, TODAY)[task].title == "Late"
        assert versions_of(own_resources, task)[1:] == [("Late", MIDNIGHT)]

    def test_a_transaction_of_several_days_keeps_only_those_days_open(self, own_resources, other_connection):
        [task] = make_tasks(own_resources, 1)
        own_resources.clock.now = NOON
        rename(other_connection, task, "Late")
        own_resources.clock.now = NOON + timedelta(days=2)

        assert log_due_days(own_resources) == [YESTERDAY]
        other_connection.commit()
        assert log_due_days(own_resources) == [TODAY, TODAY + timedelta(days=1)]

        titles = [title for title, _valid_from in versions_of(own_resources, task)]
        with own_resources.new_session() as session:
            days = (YESTERDAY, TODAY, TODAY + timedelta(days=1))
            assert [logged(session, day)[task].title for day in days] == [titles[0], "Late", "Late"]

    def test_a_transaction_of_today_does_not_keep_yesterday_open(self, own_resources, other_connection):
        first, second = make_tasks(own_resources, 2)
        own_resources.clock.now = MIDNIGHT
        rename(other_connection, first, "Of today")

        assert log_due_days(own_resources) == [YESTERDAY]

        assert days_and_tasks(own_resources) == [(YESTERDAY, first), (YESTERDAY, second)]

    @pytest.fixture
    def other_connection(self, own_resources):
        with own_resources.engine.connect() as connection:
            yield connection


def log_due_days(resources):
    with serving(resources) as services:
        return services.daily_log.log_due_days()


def is_waiting_for_lock(resources):
    # Other tests have databases on the same server, and wait for locks there.
    statement = """
        SELECT EXISTS (
            SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
        )
    """
    with resources.engine.connect() as connection:
        return connection.execute(text(statement)).scalar_one()


def rename(connection, task_id, title):
    connection.execute(text("UPDATE tasks SET title = :title WHERE id = :id"), {"title": title, "id": task_id})


def versions_of(resources, task_id):
    statement = text("SELECT title, valid_from FROM task_history WHERE task_id = :id ORDER BY revision")
    with resources.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement, {"id": task_id})]
