"""Actors of several roles, for calling services, and a database of one's own for tests that must commit."""

from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.models.people.user import Role
from tests import factories as all_factories
from tests import servers


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


@pytest.fixture
def ann(member):
    return member("ann", Role.USER)


@pytest.fixture
def bob(member):
    return member("bob", Role.USER)


@pytest.fixture
def chief(member):
    """A manager in OPS."""
    return member("chief", Role.MANAGER)


@pytest.fixture
def vera(member):
    """A viewer in OPS."""
    return member("vera", Role.VIEWER)


@pytest.fixture
def own_resources(base_settings, postgres_url, job_queue, redis):
    """Resources with a database of the test's own, where transactions commit."""
    with servers.migrated_database(postgres_url) as url:
        resources = Resources(replace(base_settings, database_url=url, database_pool_size=10), job_queue=job_queue)
        yield resources
        resources.engine.dispose()


@pytest.fixture
def own_boss(own_resources):
    """An admin in the database of `own_resources`."""
    with Session(own_resources.engine) as session:
        all_factories.bind(session)
        user = all_factories.User(role=Role.ADMIN)
        session.commit()
        return Actor(user.id, user.username, Role.ADMIN, frozenset())
