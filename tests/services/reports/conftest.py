"""The service of reports at noon on Monday, and Mia, who makes tasks."""

import pytest

from app.models.people.user import Role
from tests.services.reports.numbers import NOON


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def service(services, clock):
    return services.reports


@pytest.fixture
def mia(member):
    return member("mia", Role.MANAGER)
