"""The service of login, and Ada."""

import pytest


@pytest.fixture
def service(services):
    return services.login


@pytest.fixture
def ada(factories):
    return factories.User(username="ada", email="ada@example.org")
