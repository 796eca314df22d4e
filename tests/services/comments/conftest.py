"""A task in OPS, people who see it and people who do not."""

import pytest

from app.models.people.user import Role
from app.queries.comments import CommentQuery


@pytest.fixture
def service(services):
    return services.comments


@pytest.fixture
def views(services):
    return services.comment_views


@pytest.fixture
def bob(member):
    """Somebody whom comments mention in small letters."""
    return member("Bob", Role.USER)


@pytest.fixture
def stranger(factories, acting_as):
    """A user who is not in OPS."""
    return acting_as(factories.User(username="stranger"))


@pytest.fixture
def task(factories, ops, admin):
    return factories.Task(project_id=ops.id, creator_id=admin.id)


@pytest.fixture
def commented(service, ann, task):
    """A comment by Ann."""
    return service.create(ann, task.id, body="One")


@pytest.fixture
def listed(views, task):
    """The fields of the task's comments, as an actor sees them."""

    def listed(actor, field="body", **query):
        return [item[field] for item in views.list_page(actor, task.id, CommentQuery(**query)).items]

    return listed
