import pytest

from app.database.engine import make_session_factory
from tests.repositories.plans.explained import explained
from tests.repositories.plans.large_database import large_database


@pytest.fixture
def plans(session):
    """The plans of the statements that the repositories send in a block."""
    return lambda: explained(session.connection())


@pytest.fixture
def session(large):
    with make_session_factory(large)() as session:
        yield session


@pytest.fixture(scope="package")
def large(postgres_url):
    with large_database(postgres_url) as engine:
        yield engine
