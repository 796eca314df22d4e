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
    def test_today_is_what_nobody_named(self, service, manager, job_queue):
        assert service.request_day(manager, None) == DayRequest(TODAY, is_over=False)
        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]

    @pytest.mark.parametrize("day", [YESTERDAY, date(2026, 3, 5), LONG_AGO.date()])
    def test_a_day_that_is_over_may_be_asked_for(self, service, manager, job_queue, day):
        task_since(LONG_AGO)

        assert service.request_day(manager, day) == DayRequest(day, is_over=True)
        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]

    def test_asking_twice_is_asking_once(self, service, manager, session):
        service.request_day(manager, None)
        service.request_day(manager, TODAY)

        assert session.scalar(select(func.count()).select_from(LogRequest)) == 1

    @pytest.mark.parametrize("day", [TODAY + timedelta(days=1), date(9999, 12, 31)])
    def test_a_day_still_to_come_is_refused(self, service, manager, day):
        with pytest.raises(InvalidError, match="is in the future"):
            service.request_day(manager, day)

    @pytest.mark.parametrize("day", [date(2026, 2, 28), date(2000, 1, 1), date(1, 1, 1)])
    def test_a_day_before_the_first_task_is_refused(self, service, manager, day):
        task_since(LONG_AGO)

        with pytest.raises(InvalidError, match="is before the first task"):
            service.request_day(manager, day)

    def test_the_day_on_which_the_first_task_came_is_the_first_of_all(self, service, manager):
        task_since(MIDNIGHT - INSTANT)

        assert service.request_day(manager, YESTERDAY).log_date == YESTERDAY
        with pytest.raises(InvalidError, match="is before the first task"):
            service.request_day(manager, YESTERDAY - timedelta(days=1))

    def test_without_a_task_no_day_that_is_over_can_be_asked_for(self, service, manager):
        task_since(MIDNIGHT)

        with pytest.raises(InvalidError, match="is before the first task"):
            service.request_day(manager, YESTERDAY)

    def test_a_day_that_the_zone_left_out_is_refused(self, service_in, manager):
        task_since(datetime(2011, 12, 1, tzinfo=UTC))

        with pytest.raises(InvalidError, match="there was no 2011-12-30 in Pacific/Apia"):
            service_in("Pacific/Apia").request_day(manager, date(2011, 12, 30))

    def test_a_refused_day_wakes_nobody(self, service, manager, job_queue, session):
        with pytest.raises(InvalidError):
            service.request_day(manager, TODAY + timedelta(days=1))

        assert job_queue.enqueued == []
        assert session.scalar(select(func.count()).select_from(LogRequest)) == 0

    @pytest.mark.parametrize("day", [YESTERDAY, date(2026, 3, 5)])
    def test_a_day_that_is_closed_stays_closed(self, service, manager, day):
        task_since(LONG_AGO)
        service.log_due_days()

        with pytest.raises(ConflictError, match="logged for good: 1 tasks"):
            service.request_day(manager, day)

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_a_user_may_not(self, service, factories, acting_as, role):
        with pytest.raises(ForbiddenError):
            service.request_day(acting_as(factories.User(role=role)), None)
