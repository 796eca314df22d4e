"""The service of files, at noon on 10 March, small slices, and days that are logged."""

import pytest

from tests.services.daily_log.days.march import NOON


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def service(services, clock):
    return services.task_log_export


@pytest.fixture
def log_days(services, clock):
    """Log that many days, from yesterday on, and stop at noon of the day after the last one."""

    def log(count):
        for _ in range(count):
            services.daily_log.log_due_days()
            clock.advance(days=1)

    return log


@pytest.fixture
def small_slices(monkeypatch):
    monkeypatch.setattr("app.services.daily_log.export.SLICE_ROWS", 2)
