from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from app.models.daily_log.task_log import LogRun, LogSource
from app.models.tasks.fields import TaskStatus
from tests import factories as all_factories
from tests.services.daily_log.days.march import (
    INSTANT,
    LONG_AGO,
    MIDNIGHT,
    MORNING,
    NOON,
    TODAY,
    YESTERDAY,
    end_task,
    log_today,
    logged,
    task_since,
)

pytestmark = pytest.mark.usefixtures("factories", "clock")


class TestCloseYesterday:
    def test_logs_yesterday_without_a_request(self, service, task, session):
        assert service.log_due_days() == [YESTERDAY]

        assert set(logged(session, YESTERDAY)) == {task.id}
        run = session.get_one(LogRun, YESTERDAY)
        assert (run.source, run.is_final, run.task_count) == (LogSource.SCHEDULED, True, 1)

    def test_logs_yesterday_once_and_for_good(self, service, task, session):
        service.log_due_days()
        task.title = "Renamed afterwards"
        session.flush()

        assert service.log_due_days() == []
        assert logged(session, YESTERDAY)[task.id].title != "Renamed afterwards"

    def test_later_days_do_not_rewrite_yesterday(self, service, task, session, clock):
        service.log_due_days()
        task.change_status(TaskStatus.DONE, at=clock())
        session.flush()

        clock.advance(days=1)
        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}
        assert logged(session, TODAY) == {}
        assert session.get_one(LogRun, TODAY).task_count == 0

    def test_a_day_that_was_logged_while_it_lasted_is_completed(self, service, manager, session, clock):
        clock.now = MIDNIGHT
        stays, ends = task_since(MIDNIGHT), task_since(MIDNIGHT)
        clock.now = NOON
        log_today(service, manager)
        clock.advance(hours=2)
        ends.change_status(TaskStatus.DONE, at=clock())
        stays.title = "Renamed"
        session.flush()
        late = task_since(clock())
        clock.advance(hours=10)
        stays.title = "Renamed at the midnight that ends the day"
        session.flush()

        assert service.log_due_days() == [TODAY]

        assert set(logged(session, TODAY)) == {stays.id, late.id}
        assert logged(session, TODAY)[stays.id].title == "Renamed"
        assert session.get_one(LogRun, TODAY, populate_existing=True).is_final

    def test_a_request_left_over_at_midnight_closes_the_day(self, service, manager, task, session, clock):
        service.log_due_days()
        service.request_day(manager, None)
        clock.advance(hours=13)

        assert service.log_due_days() == [TODAY]
        assert session.get_one(LogRun, TODAY).is_final

    def test_nothing_is_logged_before_the_first_task(self, service, session):
        assert service.log_due_days() == []
        assert session.scalar(select(func.count()).select_from(LogRun)) == 0

    def test_logs_the_last_day_of_a_year(self, service, session, clock):
        clock.now = datetime(2027, 1, 1, 0, 1, tzinfo=UTC)
        task = task_since(datetime(2026, 12, 31, tzinfo=UTC))

        assert service.log_due_days() == [date(2026, 12, 31)]
        assert set(logged(session, date(2026, 12, 31))) == {task.id}


class TestMidnight:
    """A day shows the state of its last instant, however late the run comes."""

    @pytest.mark.parametrize("end", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_a_task_ended_at_midnight_still_counts(self, service, task, session, clock, end):
        clock.now = MIDNIGHT
        end_task(session, task, end, at=MIDNIGHT)
        clock.now = NOON

        service.log_due_days()

        assert logged(session, YESTERDAY)[task.id].status is TaskStatus.TODO

    @pytest.mark.parametrize("end", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_a_task_ended_just_before_midnight_does_not_count(self, service, task, session, clock, end):
        other = task_since(MORNING)
        clock.now = MIDNIGHT - INSTANT
        end_task(session, task, end, at=clock())
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    @pytest.mark.parametrize(
        ("started_at", "status"),
        [(MIDNIGHT - INSTANT, TaskStatus.IN_PROGRESS), (MIDNIGHT, TaskStatus.TODO)],
    )
    def test_a_task_ended_after_midnight_counts_with_its_earlier_status(
        self, service, task, session, clock, started_at, status
    ):
        clock.now = started_at
        end_task(session, task, TaskStatus.IN_PROGRESS, at=started_at)
        clock.now = NOON
        end_task(session, task, TaskStatus.DONE, at=NOON)

        service.log_due_days()

        assert logged(session, YESTERDAY)[task.id].status is status

    def test_an_earlier_completion_time_counts_from_when_it_was_written(self, service, task, session):
        """An import may claim that a task was completed last year, but it was open here until the import came."""
        end_task(session, task, TaskStatus.DONE, at=LONG_AGO)

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_deleted_at_midnight_still_counts(self, service, task, session, clock):
        clock.now = MIDNIGHT
        task.delete(at=MIDNIGHT)
        session.flush()
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_deleted_just_before_midnight_does_not_count(self, service, task, session, clock):
        other = task_since(MORNING)
        clock.now = MIDNIGHT - INSTANT
        task.delete(at=clock())
        session.flush()
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    def test_a_task_purged_at_midnight_still_counts(self, service, task, session, clock):
        clock.now = MIDNIGHT
        session.delete(task)
        session.flush()
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_purged_just_before_midnight_does_not_count(self, service, task, session, clock):
        other = task_since(MORNING)
        clock.now = MIDNIGHT - INSTANT
        session.delete(task)
        session.flush()
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    def test_an_ended_task_deleted_after_midnight_does_not_count(self, service, task, session, clock):
        other = task_since(MORNING)
        clock.now = MIDNIGHT - timedelta(hours=1)
        end_task(session, task, TaskStatus.DONE, at=clock())
        clock.now = NOON
        task.delete(at=NOON)
        session.flush()

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    def test_a_task_done_before_and_cancelled_after_midnight_does_not_count(
        self, service, services, manager, session, clock
    ):
        done, other = task_since(MORNING), task_since(MORNING)
        clock.now = MIDNIGHT - timedelta(hours=1)
        services.tasks.change(manager, done.id, {"status": TaskStatus.DONE})
        clock.now = NOON
        services.tasks.change(manager, done.id, {"status": TaskStatus.CANCELLED})

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    def test_a_task_done_before_and_reopened_after_midnight_does_not_count(
        self, service, services, manager, session, clock
    ):
        done, other = task_since(MORNING), task_since(MORNING)
        clock.now = MIDNIGHT - timedelta(hours=1)
        services.tasks.change(manager, done.id, {"status": TaskStatus.DONE})
        clock.now = NOON
        services.tasks.change(manager, done.id, {"status": TaskStatus.TODO})

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    def test_a_task_stored_at_midnight_does_not_count_whatever_its_creation_time(self, service, task, session):
        task_since(MIDNIGHT, created_at=LONG_AGO)

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_stored_just_before_midnight_counts(self, service, session):
        task = task_since(MIDNIGHT - INSTANT)

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_created_and_ended_between_two_midnights_is_in_no_log(self, service, task, session, clock):
        clock.now = MORNING + timedelta(hours=1)
        for change in (lambda brief: end_task(session, brief, TaskStatus.DONE, at=clock()), session.delete):
            change(all_factories.Task())
            session.flush()
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}
