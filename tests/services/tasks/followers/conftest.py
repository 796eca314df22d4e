"""A task in OPS with a creator, and somebody who may be assigned."""

import pytest

from app.models.people.user import Role


@pytest.fixture
def service(services):
    return services.task_followers


@pytest.fixture
def creator(member):
    return member("creator", Role.USER)


@pytest.fixture
def task(services, creator, ops):
    return services.tasks.create(creator, {"title": "Followed", "project": "OPS"})


@pytest.fixture
def assign(services, creator, task):
    """Assign the task to the user of this name, or to nobody."""
    return lambda name: services.tasks.change(creator, task.id, {"assignee": name})


@pytest.fixture
def followers(service, creator, task):
    """The reason of each follower."""

    def followers(actor=creator):
        page = service.list_page(actor, task.id, cursor=None, limit=50)
        return {item["username"]: item["reason"] for item in page.items}

    return followers
