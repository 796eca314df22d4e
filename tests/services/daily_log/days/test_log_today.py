from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from app.models.daily_log.task_log import LogRequest, LogRun, LogSource
from app.models.tasks.fields import ACTIVE_STATUSES, TaskPriority, TaskStatus
from tests.services.daily_log.days.march import MORNING, NOON, TODAY, log_today, logged, sources, task_since

pytestmark = pytest.mark.usefixtures("factories", "clock")


class TestLogToday:
    def test_logs_the_current_state_of_each_task(self, service, manager, factories, session):
        assignee = factories.User()
        due_at = NOON + timedelta(days=3)
        task = task_since(
            MORNING,
            title="Paint",
            status=TaskStatus.BLOCKED,
            priority=TaskPriority.HIGH,
            assignee_id=assignee.id,
            due_at=due_at,
        )

        service.request_day(manager, None)
        assert TODAY in service.log_due_days()

        row = logged(session, TODAY)[task.id]
        assert (row.title, row.status, row.priority) == ("Paint", TaskStatus.BLOCKED, TaskPriority.HIGH)
        assert (row.project_id, row.assignee_id, row.due_at) == (task.project_id, assignee.id, due_at)

    def test_stores_a_run_that_is_not_final(self, service, manager, task, session):
        service.request_day(manager, None)
        service.log_due_days()

        run = session.get_one(LogRun, TODAY)
        assert (run.task_count, run.source, run.is_final) == (1, LogSource.MANUAL, False)
        assert (run.time_zone, run.started_at) == ("UTC", NOON)

    def test_only_active_tasks_are_logged(self, service, manager, session):
        ended_at = NOON - timedelta(hours=1)
        active = {task_since(MORNING, status=status).id for status in ACTIVE_STATUSES}
        for status in (TaskStatus.DONE, TaskStatus.CANCELLED):
            task_since(MORNING, status=status, completed_at=ended_at)
        task_since(MORNING, deleted_at=ended_at)

        service.request_day(manager, None)
        service.log_due_days()

        assert set(logged(session, TODAY)) == active

    def test_does_not_log_today_without_a_request(self, service, task, session):
        service.log_due_days()

        assert logged(session, TODAY) == {}

    def test_the_request_ends_with_the_work(self, service, manager, task, session):
        service.request_day(manager, None)
        service.log_due_days()

        assert session.scalar(select(func.count()).select_from(LogRequest)) == 0
        assert service.log_due_days() == []

    def test_a_requested_day_without_tasks_is_a_run_of_none(self, service, manager, session):
        service.request_day(manager, None)

        assert service.log_due_days() == [TODAY]
        assert session.get_one(LogRun, TODAY).task_count == 0


class TestLogTodayAgain:
    def test_adds_no_duplicate_and_keeps_the_rows_ids(self, service, manager, task, session):
        log_today(service, manager)
        before = logged(session, TODAY)[task.id].id

        log_today(service, manager)

        assert [row.id for row in logged(session, TODAY).values()] == [before]

    def test_updates_changed_tasks(self, service, manager, task, session, clock):
        log_today(service, manager)
        task.title, task.priority, task.status = "Renamed", TaskPriority.CRITICAL, TaskStatus.BLOCKED
        session.flush()

        clock.advance(hours=1)
        log_today(service, manager)

        row = logged(session, TODAY)[task.id]
        assert (row.title, row.priority, row.status) == ("Renamed", TaskPriority.CRITICAL, TaskStatus.BLOCKED)

    def test_drops_inactive_tasks_and_adds_new_ones(self, service, manager, session, clock):
        done, deleted, unchanged = (task_since(MORNING) for _ in range(3))
        log_today(service, manager)
        clock.advance(hours=1)
        done.change_status(TaskStatus.DONE, at=clock())
        deleted.delete(at=clock())
        session.flush()
        new = task_since(clock())

        clock.advance(hours=1)
        log_today(service, manager)

        assert set(logged(session, TODAY)) == {unchanged.id, new.id}
        assert session.get_one(LogRun, TODAY, populate_existing=True).task_count == 2

    def test_drops_purged_tasks(self, service, manager, task, session):
        log_today(service, manager)
        session.delete(task)
        session.flush()

        log_today(service, manager)

        assert logged(session, TODAY) == {}


class TestSource:
    def test_yesterday_is_scheduled_and_older_days_are_filled_in(self, service, session):
        task_since(datetime(2026, 3, 7, tzinfo=UTC))

        service.log_due_days()

        assert sources(session) == {7: LogSource.BACKFILL, 8: LogSource.BACKFILL, 9: LogSource.SCHEDULED}

    def test_a_requested_day_is_manual_and_comes_first(self, service, manager, session):
        task_since(datetime(2026, 3, 7, tzinfo=UTC))
        for day in (date(2026, 3, 8), TODAY):
            service.request_day(manager, day)

        assert [day.day for day in service.log_due_days()] == [8, 10, 7, 9]

        manual = {8: LogSource.MANUAL, 10: LogSource.MANUAL}
        assert sources(session) == {7: LogSource.BACKFILL, **manual, 9: LogSource.SCHEDULED}

    def test_a_requested_day_that_the_schedule_completes_is_scheduled(self, service, manager, task, session, clock):
        log_today(service, manager)
        clock.advance(days=1)

        service.log_due_days()

        assert sources(session) == {9: LogSource.SCHEDULED, 10: LogSource.SCHEDULED}

    def test_the_day_before_a_skipped_day_is_yesterday(self, service_in, session, clock):
        task_since(datetime(2011, 12, 29, 12, tzinfo=UTC))
        clock.now = datetime(2011, 12, 30, 12, tzinfo=UTC)

        service_in("Pacific/Apia").log_due_days()

        assert sources(session) == {29: LogSource.SCHEDULED}
