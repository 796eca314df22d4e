"""Clients that upload files."""

import pytest

from app.models.people.user import Role


@pytest.fixture
def manager(factories):
    return factories.User(role=Role.MANAGER)


@pytest.fixture
def as_manager(client, manager):
    return client.acting_as(manager)


@pytest.fixture
def as_admin(client, admin):
    return client.acting_as(admin)
