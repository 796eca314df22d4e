"""A board of tasks, and clients that may do different things with it."""

import pytest

from app.models.people.user import Role


@pytest.fixture
def ops(factories):
    return factories.Project(key="OPS")


@pytest.fixture
def user(factories):
    return factories.User()


@pytest.fixture
def as_user(client, user):
    return client.acting_as(user)


@pytest.fixture
def as_manager(client, factories):
    return client.acting_as(factories.User(role=Role.MANAGER))


@pytest.fixture
def task(factories):
    return factories.Task()


@pytest.fixture
def full_task(factories):
    """A task that has no field at its default."""
    return factories.Task(
        title="Old",
        description="long",
        status="in_progress",
        priority="high",
        labels=["x", "y"],
        assignee_id=factories.User().id,
        due_at="2031-01-01T00:00:00Z",
        external_ref="JIRA-42",
        started_at="2030-01-01T00:00:00Z",
        position=42.0,
    )
