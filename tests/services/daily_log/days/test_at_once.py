from datetime import timedelta

import pytest

from app.composition.services import serving
from tests.at_once import at_once
from tests.services.daily_log.days.march import TODAY, YESTERDAY, days_and_tasks, make_tasks

pytestmark = pytest.mark.usefixtures("factories", "clock")


class TestAtOnce:
    """Each test has a database of its own, where transactions commit."""

    def test_two_runs_log_each_day_and_task_once(self, own_resources):
        expected = make_tasks(own_resources, 50)

        runs = at_once(own_resources, lambda services, _number: services.daily_log.log_due_days(), count=2)

        assert sorted(runs) == [[], [YESTERDAY]]
        assert days_and_tasks(own_resources) == [(YESTERDAY, task_id) for task_id in expected]

    def test_two_runs_of_a_requested_day_log_each_task_once(self, own_resources, factories, acting_as, manager):
        expected = make_tasks(own_resources, 50)
        with serving(own_resources) as services:
            services.daily_log.request_day(manager, None)

        at_once(own_resources, lambda services, _number: services.daily_log.log_due_days(), count=2)

        assert days_and_tasks(own_resources) == [(day, task_id) for day in (YESTERDAY, TODAY) for task_id in expected]

    def test_runs_over_several_midnights_log_each_day_and_task_once(self, own_resources):
        expected = make_tasks(own_resources, 5)

        days = []
        for _ in range(3):
            for run in at_once(own_resources, lambda services, _number: services.daily_log.log_due_days(), count=4):
                days += run
            own_resources.clock.advance(days=1)

        assert days == [YESTERDAY, TODAY, TODAY + timedelta(days=1)]
        assert days_and_tasks(own_resources) == [(day, task_id) for day in days for task_id in expected]
