"""The service of views, and members of OPS in each role."""

import pytest

from app.models.people.user import Role


@pytest.fixture
def service(services):
    return services.saved_views


@pytest.fixture
def uwe(member):
    return member("uwe", Role.USER)


@pytest.fixture
def mia(member):
    return member("mia", Role.MANAGER)


@pytest.fixture
def vera(member):
    return member("vera", Role.VIEWER)


@pytest.fixture
def stranger(factories, acting_as):
    """A manager who is not in OPS."""
    return acting_as(factories.User(username="stranger", role=Role.MANAGER))
