"""Logged days, and people with different views of them."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from app.models.people.user import Role
from app.models.tasks.task import TaskStatus
from tests.services.daily_log.reports.week import NOON


@pytest.fixture
def zone():
    """The time zone of the workspace; a test may override it."""
    return "UTC"


@pytest.fixture
def settings(base_settings, zone):
    return replace(base_settings, time_zone=ZoneInfo(zone))


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def service(services, clock):
    return services.daily_log_reports


@pytest.fixture
def log_day(services, clock, factories):
    """Let the day end and be logged; then it is noon of the next day. An older task that is done begins the record."""
    factories.Task(status=TaskStatus.DONE, completed_at=NOON)

    def log():
        clock.advance(days=1)
        services.daily_log.log_due_days()

    return log


@pytest.fixture
def ann(member):
    return member("ann", Role.USER)


@pytest.fixture
def mia(member, ann):
    return member("mia", Role.MANAGER)


@pytest.fixture
def boss(admin, acting_as):
    return acting_as(admin)


@pytest.fixture
def viewer(factories, acting_as):
    """A viewer who is not a member of OPS."""
    return acting_as(factories.User(role=Role.VIEWER))


@pytest.fixture
def ops(factories):
    return factories.Project(key="OPS")


@pytest.fixture
def member(factories, acting_as, ops):
    """A member of OPS and of the default project."""

    def make(username, role):
        user = factories.User(username=username, role=role)
        factories.ProjectMember(project_id=ops.id, user_id=user.id)
        return acting_as(user)

    return make


@pytest.fixture
def task_id(services, mia):
    return services.tasks.create(mia, {"title": "One", "assignee": "mia", "due_at": NOON}).id
