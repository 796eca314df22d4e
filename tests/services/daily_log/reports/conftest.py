"""The reports of the daily log at noon on Monday, and two members of OPS."""

import pytest

from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from tests.services.daily_log.reports.week import NOON


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def service(services, clock):
    return services.daily_log_reports


@pytest.fixture
def log_day(services, clock, factories):
    """Let the day end, log it, and stop at noon of the next day. An older finished task begins the daily log."""
    factories.Task(status=TaskStatus.DONE, completed_at=NOON)

    def log():
        clock.advance(days=1)
        services.daily_log.log_due_days()

    return log


@pytest.fixture
def mia(member, ann):
    return member("mia", Role.MANAGER)


@pytest.fixture
def task_id(services, mia):
    return services.tasks.create(mia, {"title": "One", "assignee": "mia", "due_at": NOON}).id
