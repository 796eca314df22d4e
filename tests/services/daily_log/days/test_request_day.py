from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from app.errors import ConflictError, ForbiddenError, InvalidError
from app.job_queue import JobName
from app.models.daily_log.task_log import LogRequest
from app.models.people.user import Role
from app.services.daily_log.days import DayRequest
from tests.services.daily_log.days.march import INSTANT, LONG_AGO, MIDNIGHT, TODAY, YESTERDAY, task_since

pytestmark = pytest.mark.usefixtures("factories", "clock")


class TestRequestDay:
    def test_the_default_is_today(self, service, manager, job_queue):
        assert service.request_day(manager, None) == DayRequest(TODAY, is_over=False)
        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]

    @pytest.mark.parametrize("day", [YESTERDAY, date(2026, 3, 5), LONG_AGO.date()])
    def test_a_past_day_may_be_requested(self, service, manager, job_queue, day):
        task_since(LONG_AGO)

        assert service.request_day(manager, day) == DayRequest(day, is_over=True)
        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]

    def test_a_second_request_changes_nothing(self, service, manager, session):
        service.request_day(manager, None)
        service.request_day(manager, TODAY)

        assert session.scalar(select(func.count()).select_from(LogRequest)) == 1

    @pytest.mark.parametrize("day", [TODAY + timedelta(days=1), date(9999, 12, 31)])
    def test_a_future_day_is_refused(self, service, manager, day):
        with pytest.raises(InvalidError, match="is in the future"):
            service.request_day(manager, day)

    @pytest.mark.parametrize("day", [date(2026, 2, 28), date(2000, 1, 1), date(1, 1, 1)])
    def test_a_day_before_the_first_task_is_refused(self, service, manager, day):
        task_since(LONG_AGO)

        with pytest.raises(InvalidError, match="is before the first task"):
            service.request_day(manager, day)

    def test_the_day_of_the_first_task_may_be_requested(self, service, manager):
        task_since(MIDNIGHT - INSTANT)

        assert service.request_day(manager, YESTERDAY).log_date == YESTERDAY
        with pytest.raises(InvalidError, match="is before the first task"):
            service.request_day(manager, YESTERDAY - timedelta(days=1))

    def test_no_past_day_may_be_requested_before_the_first_task(self, service, manager):
        task_since(MIDNIGHT)

        with pytest.raises(InvalidError, match="is before the first task"):
            service.request_day(manager, YESTERDAY)

    def test_a_day_that_the_zone_skipped_is_refused(self, service_in, manager):
        task_since(datetime(2011, 12, 1, tzinfo=UTC))

        with pytest.raises(InvalidError, match="there was no 2011-12-30 in Pacific/Apia"):
            service_in("Pacific/Apia").request_day(manager, date(2011, 12, 30))

    def test_a_refused_request_wakes_no_worker(self, service, manager, job_queue, session):
        with pytest.raises(InvalidError):
            service.request_day(manager, TODAY + timedelta(days=1))

        assert job_queue.enqueued == []
        assert session.scalar(select(func.count()).select_from(LogRequest)) == 0

    @pytest.mark.parametrize("day", [YESTERDAY, date(2026, 3, 5)])
    def test_a_closed_day_is_refused(self, service, manager, day):
        task_since(LONG_AGO)
        service.log_due_days()

        with pytest.raises(ConflictError, match="logged for good: 1 tasks"):
            service.request_day(manager, day)

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_a_user_may_not(self, service, factories, acting_as, role):
        with pytest.raises(ForbiddenError):
            service.request_day(acting_as(factories.User(role=role)), None)
