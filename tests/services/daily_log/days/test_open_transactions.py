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
    """Each test has a database of its own, and another transaction is open while a day should be closed."""

    def test_one_that_finds_another_at_work_leaves_the_day_to_it(self, own_parts, other_connection):
        log_due_days(own_parts)  # makes the partitions, for which it waits
        expected = make_tasks(own_parts, 2)
        other_connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOG_LOCK})

        assert log_due_days(own_parts) == []
        other_connection.rollback()
        assert log_due_days(own_parts) == [YESTERDAY]

        assert days_and_tasks(own_parts) == [(YESTERDAY, task_id) for task_id in expected]

    def test_who_asks_while_a_run_is_at_work_is_heard_by_it(self, own_parts, other_connection, manager, job_queue):
        """Their own ring finds it at work and leaves the day to it, and it looked for requests before that."""
        make_tasks(own_parts, 2)
        other_connection.execute(text("LOCK TABLE log_runs IN SHARE MODE"))
        with ThreadPoolExecutor(1) as threads:
            run = threads.submit(log_due_days, own_parts)
            assert servers.wait_for(lambda: is_waiting_for_lock(own_parts))
            with serving(own_parts) as services:
                services.daily_log.request_day(manager, None)
            assert log_due_days(own_parts) == []
            job_queue.enqueued.clear()
            other_connection.rollback()

            assert run.result() == [YESTERDAY]

        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]
        assert log_due_days(own_parts) == [TODAY]

    def test_one_that_has_written_keeps_the_day_open_and_its_change_counts(self, own_parts, other_connection):
        first, second = make_tasks(own_parts, 2)
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, first, "Late")
        own_parts.clock.now = MIDNIGHT + timedelta(minutes=1)

        assert log_due_days(own_parts) == []
        assert days_and_tasks(own_parts) == []
        other_connection.commit()
        assert log_due_days(own_parts) == [YESTERDAY]

        assert days_and_tasks(own_parts) == [(YESTERDAY, first), (YESTERDAY, second)]
        with own_parts.new_session() as session:
            assert logged(session, YESTERDAY)[first].title == "Late"

    def test_what_it_writes_after_midnight_counts_from_there_on(self, own_parts, other_connection):
        [task] = make_tasks(own_parts, 1)
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "Before")
        own_parts.clock.now = MIDNIGHT + timedelta(minutes=1)
        log_due_days(own_parts)
        # The transaction's now() is when it began.
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "After")
        other_connection.commit()
        own_parts.clock.now = MIDNIGHT + timedelta(minutes=1)

        assert log_due_days(own_parts) == [YESTERDAY]

        with own_parts.new_session() as session:
            assert logged(session, YESTERDAY)[task].title == "Before"
        assert versions_of(own_parts, task)[1:] == [("Before", MIDNIGHT - timedelta(seconds=30)), ("After", MIDNIGHT)]

    def test_one_that_is_given_up_leaves_the_day_as_it_was(self, own_parts, other_connection):
        [task] = make_tasks(own_parts, 1)
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "Never")
        own_parts.clock.now = MIDNIGHT + timedelta(minutes=1)
        assert log_due_days(own_parts) == []
        other_connection.rollback()

        assert log_due_days(own_parts) == [YESTERDAY]

        with own_parts.new_session() as session:
            assert logged(session, YESTERDAY)[task].title != "Never"

    def test_one_that_first_writes_when_the_day_is_closed_is_recorded_at_its_end(self, own_parts, other_connection):
        [task] = make_tasks(own_parts, 1)
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        other_connection.execute(text("SELECT FROM tasks"))
        own_parts.clock.now = MIDNIGHT + timedelta(minutes=1)
        assert log_due_days(own_parts) == [YESTERDAY]
        # The transaction's now() is when it began.
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "Late")
        other_connection.commit()
        own_parts.clock.now = NOON + timedelta(days=1)

        assert log_due_days(own_parts) == [TODAY]

        with own_parts.new_session() as session:
            assert logged(session, YESTERDAY)[task].title != "Late"
            assert logged(session, TODAY)[task].title == "Late"
        assert versions_of(own_parts, task)[1:] == [("Late", MIDNIGHT)]

    def test_one_that_goes_on_for_days_keeps_each_of_them_open_and_none_before(self, own_parts, other_connection):
        [task] = make_tasks(own_parts, 1)
        own_parts.clock.now = NOON
        rename(other_connection, task, "Late")
        own_parts.clock.now = NOON + timedelta(days=2)

        assert log_due_days(own_parts) == [YESTERDAY]
        other_connection.commit()
        assert log_due_days(own_parts) == [TODAY, TODAY + timedelta(days=1)]

        titles = [title for title, _valid_from in versions_of(own_parts, task)]
        with own_parts.new_session() as session:
            days = (YESTERDAY, TODAY, TODAY + timedelta(days=1))
            assert [logged(session, day)[task].title for day in days] == [titles[0], "Late", "Late"]

    def test_one_of_today_does_not_keep_yesterday_open(self, own_parts, other_connection):
        first, second = make_tasks(own_parts, 2)
        own_parts.clock.now = MIDNIGHT
        rename(other_connection, first, "Of today")

        assert log_due_days(own_parts) == [YESTERDAY]

        assert days_and_tasks(own_parts) == [(YESTERDAY, first), (YESTERDAY, second)]

    @pytest.fixture
    def other_connection(self, own_parts):
        with own_parts.engine.connect() as connection:
            yield connection


def log_due_days(resources):
    with serving(resources) as services:
        return services.daily_log.log_due_days()


def is_waiting_for_lock(resources):
    with resources.engine.connect() as connection:
        return connection.execute(text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")).scalar_one()


def rename(connection, task_id, title):
    connection.execute(text("UPDATE tasks SET title = :title WHERE id = :id"), {"title": title, "id": task_id})


def versions_of(resources, task_id):
    statement = text("SELECT title, valid_from FROM task_history WHERE task_id = :id ORDER BY revision")
    with resources.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement, {"id": task_id})]
