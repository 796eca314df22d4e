"""A task in OPS, and clients of people who see it."""

import pytest

from app.models.people.user import Role


@pytest.fixture
def task(factories, ops, admin):
    return factories.Task(project_id=ops.id, creator_id=admin.id)


@pytest.fixture
def path(task):
    return f"/api/v1/tasks/{task.id}/comments"


@pytest.fixture
def member_client(client, factories, ops):
    def member_client(username, role=Role.USER):
        user = factories.User(username=username, role=role)
        factories.ProjectMember(project_id=ops.id, user_id=user.id)
        return client.acting_as(user)

    return member_client


@pytest.fixture
def as_ann(member_client):
    return member_client("ann")


@pytest.fixture
def commented(as_ann, path):
    """The answer to a comment by Ann."""
    return as_ann.post(path, {"body": "One"})
