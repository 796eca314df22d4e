"""Who reads the large database: actors who see all of it, much of it, or little."""

from datetime import UTC, datetime, timedelta

import pytest

from app.auth.actor import Actor
from app.models.people.user import Role
from tests.repositories.plans.large_database import NOW

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# The tasks of the project with the id 50.
HUNDRED_TASKS = 100

ADMIN = Actor(1, "person-1", Role.ADMIN, frozenset())
# Members of one project: with two fifths of all tasks, and with a hundred.
MEMBER = Actor(2, "person-2", Role.USER, frozenset({7}))
NEWCOMER = Actor(3, "person-3", Role.USER, frozenset({50}))
ACTORS = [pytest.param(ADMIN, id="admin"), pytest.param(MEMBER, id="member"), pytest.param(NEWCOMER, id="newcomer")]
# The history and the log have no index by project. Somebody with few tasks makes PostgreSQL read much of them.
ACTORS_WITH_MANY_TASKS = ACTORS[:2]


def days_from_now(count):
    return NOW + timedelta(days=count)
