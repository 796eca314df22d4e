from datetime import date
from itertools import count

import pytest

from app.composition.services import serving
from app.job_queue import JobName
from app.models.daily_log.task_log import LogSource
from app.services.daily_log.days import SLICE
from tests.services.daily_log.days.march import LONG_AGO, NOON, days_of_march, sources, task_since

pytestmark = pytest.mark.usefixtures("factories", "clock")


class TestSlice:
    """The work may take hours, so it is done in slices between which other jobs get their turn."""

    def test_at_the_end_of_its_time_asks_for_another_slice(self, resources, services, clock, job_queue):
        task_since(LONG_AGO)
        resources.clock = advancing_clock(SLICE / 2)

        assert services.daily_log.log_due_days() == days_of_march(1, 2)
        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]

    def test_several_slices_do_all_of_the_work_once(self, resources, services, session, job_queue):
        task_since(LONG_AGO)
        resources.clock = advancing_clock(SLICE / 2)

        days = services.daily_log.log_due_days()
        while job_queue.enqueued:
            job_queue.enqueued.pop()
            days += services.daily_log.log_due_days()

        assert days == days_of_march(1, 9)
        older = dict.fromkeys(range(1, 9), LogSource.BACKFILL)
        assert sources(session) == {**older, 9: LogSource.SCHEDULED}

    def test_a_requested_day_that_was_not_reached_is_not_forgotten(
        self, resources, services, manager, session, job_queue
    ):
        task_since(LONG_AGO)
        for day in (3, 5, 7):
            services.daily_log.request_day(manager, date(2026, 3, day))
        job_queue.enqueued.clear()
        resources.clock = advancing_clock(SLICE / 2)

        with serving(resources) as slow_services:
            slow_services.daily_log.log_due_days()
            assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]
            for _ in range(5):
                slow_services.daily_log.log_due_days()

        manual = {day for day, source in sources(session).items() if source is LogSource.MANUAL}
        assert manual == {3, 5, 7}

    def test_asks_for_no_other_slice_when_the_work_is_done(self, service, job_queue):
        task_since(LONG_AGO)

        service.log_due_days()

        assert job_queue.enqueued == []


def advancing_clock(step):
    """A clock that moves on by this step each time it is read."""
    times = (NOON + number * step for number in count())
    return lambda: next(times)
