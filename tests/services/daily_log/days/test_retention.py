from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import func, select, text

from app.errors import ConflictError
from app.models.daily_log.task_log import LogRun, TaskLog
from tests.services.daily_log.days.march import MORNING, YESTERDAY, logged, task_since

pytestmark = pytest.mark.usefixtures("factories", "clock")


class TestPartitions:
    def test_partitions_of_this_month_and_the_next_are_made_ahead(self, service, session, clock):
        clock.now = datetime(2031, 1, 31, 12, tzinfo=UTC)

        service.log_due_days()

        assert {"task_logs_2031_01", "task_logs_2031_02"} <= partitions(session)

    def test_each_month_that_is_filled_in_gets_a_partition(self, service, session, clock):
        task_since(datetime(2025, 11, 30, tzinfo=UTC))
        clock.now = datetime(2026, 1, 2, tzinfo=UTC)

        service.log_due_days()

        assert {f"task_logs_{month}" for month in ("2025_11", "2025_12", "2026_01", "2026_02")} <= partitions(session)
        assert rows_by_month(session) == {11: 1, 12: 31, 1: 1}

    def test_nothing_is_dropped_without_a_limit(self, service, session, clock):
        task = task_since(MORNING)
        service.log_due_days()
        clock.now = datetime(2026, 6, 1, tzinfo=UTC)

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}


class TestRetention:
    def test_a_month_is_dropped_when_all_of_it_is_too_old(self, service, session, clock):
        task_since(datetime(2026, 1, 30, tzinfo=UTC))
        clock.now = datetime(2026, 3, 2, 12, tzinfo=UTC)
        service.log_due_days()
        assert rows_by_month(session) == {1: 2, 2: 28, 3: 1}

        clock.now = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)
        service.log_due_days()
        assert rows_by_month(session) == {1: 2, 2: 28, 3: 1}

        clock.now = datetime(2026, 3, 3, tzinfo=UTC)
        service.log_due_days()
        assert rows_by_month(session) == {2: 28, 3: 2}
        assert "task_logs_2026_01" not in partitions(session)

    def test_the_runs_of_a_dropped_month_stay_and_it_is_not_filled_in_again(self, service, session, clock):
        task_since(datetime(2026, 1, 30, tzinfo=UTC))
        clock.now = datetime(2026, 3, 2, 12, tzinfo=UTC)
        service.log_due_days()
        clock.now = datetime(2026, 3, 3, 12, tzinfo=UTC)

        assert service.log_due_days() == [date(2026, 3, 2)]
        assert service.log_due_days() == []

        assert session.get_one(LogRun, date(2026, 1, 30)).task_count == 1
        assert rows_by_month(session) == {2: 28, 3: 2}

    def test_a_day_of_a_dropped_month_cannot_be_requested(self, service, manager, clock):
        task_since(datetime(2026, 1, 30, tzinfo=UTC))
        for day in (2, 3):
            clock.now = datetime(2026, 3, day, 12, tzinfo=UTC)
            service.log_due_days()

        with pytest.raises(ConflictError):
            service.request_day(manager, date(2026, 1, 30))

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, task_log_retention_days=30)


def partitions(session):
    statement = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'task_logs'::regclass")
    return set(session.scalars(statement))


def rows_by_month(session):
    month = func.extract("month", TaskLog.log_date)
    return {int(number): count for number, count in session.execute(select(month, func.count()).group_by(month))}
