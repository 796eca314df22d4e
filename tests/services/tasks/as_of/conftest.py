"""A clock at noon, an admin, and two users; one of them is a member of OPS."""

import pytest

from app.models.people.user import Role
from tests.services.tasks.as_of.looking_back import NOON


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def boss(factories, acting_as, ops, ann, ben):
    return acting_as(factories.User(username="boss", role=Role.ADMIN))


@pytest.fixture
def ann(factories, acting_as, ops):
    """A member of OPS, which ben is not."""
    user = factories.User(username="ann")
    factories.ProjectMember(project_id=ops.id, user_id=user.id)
    return acting_as(user)


@pytest.fixture
def ben(factories, acting_as):
    return acting_as(factories.User(username="ben"))
