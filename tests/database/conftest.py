"""A unit of work, and the events that it released."""

import pytest

from app.database.unit_of_work import UnitOfWork


@pytest.fixture
def released():
    return []


@pytest.fixture
def uow(own_session, released):
    """A unit of work on the session that the test file names `own_session`."""
    return UnitOfWork(own_session, released.append)
