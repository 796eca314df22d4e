"""A user of each role, and a client that acts as each."""

import pytest

from app.models.people.user import Role


@pytest.fixture
def as_admin(client, admin):
    return client.acting_as(admin)


@pytest.fixture
def manager(factories):
    return factories.User(role=Role.MANAGER)


@pytest.fixture
def as_manager(client, manager):
    return client.acting_as(manager)


@pytest.fixture
def user(factories):
    return factories.User()


@pytest.fixture
def as_user(client, user):
    return client.acting_as(user)


@pytest.fixture
def viewer(factories):
    return factories.User(role=Role.VIEWER)


@pytest.fixture
def as_viewer(client, viewer):
    return client.acting_as(viewer)
