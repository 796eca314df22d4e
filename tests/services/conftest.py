"""Actors of several roles, for calling services."""

import pytest

from app.models.people.user import Role


@pytest.fixture
def manager(factories, acting_as):
    return acting_as(factories.User(role=Role.MANAGER))


@pytest.fixture
def viewer(factories, acting_as):
    """A viewer who is not a member of OPS."""
    return acting_as(factories.User(role=Role.VIEWER))


@pytest.fixture
def member(factories, acting_as, ops):
    """Make a member of OPS and of the default project."""

    def make(username, role):
        user = factories.User(username=username, role=role)
        factories.ProjectMember(project_id=ops.id, user_id=user.id)
        return acting_as(user)

    return make
