"""Grace, whom an import made up, and Ada, who can log in."""

import pytest


@pytest.fixture
def service(services):
    return services.handover


@pytest.fixture
def grace(factories):
    return factories.User(username="Grace", email=None, password_hash=None, is_active=False)


@pytest.fixture
def ada(factories):
    return factories.User(username="ada")
