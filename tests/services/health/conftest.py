"""The service of health, with and without its servers."""

from contextlib import ExitStack
from dataclasses import replace

import pytest
from sqlalchemy import text

from app.composition.resources import Resources
from app.composition.services import serving
from app.database.engine import make_session_factory
from app.models.health.sighting import BackgroundProcess
from tests.fakes import FakeJobQueue


@pytest.fixture
def service(services):
    return services.health


@pytest.fixture
def service_with(settings, connection, redis):
    """The service with changed settings or another queue."""
    with ExitStack() as stack:

        def make(*, job_queue=None, **changes):
            resources = Resources(replace(settings, **changes), job_queue=job_queue or FakeJobQueue())
            resources.new_session = make_session_factory(connection)
            stack.callback(resources.engine.dispose)
            return stack.enter_context(serving(resources)).health

        yield make


@pytest.fixture
def all_processes_seen(service):
    for part in BackgroundProcess:
        service.see(part)


@pytest.fixture
def seen(connection):
    """Store when a process was last seen."""

    def set_seen(part, *, seconds_ago):
        connection.execute(
            text("""
                INSERT INTO sightings (part, seen_at) VALUES (:part, now() - make_interval(secs => :seconds))
                ON CONFLICT (part) DO UPDATE SET seen_at = excluded.seen_at
            """),
            {"part": part.value, "seconds": seconds_ago},
        )

    return set_seen


@pytest.fixture
def migrate_to(connection):
    """Store another migration as the database's own; its tables stay as they are."""
    return lambda migration: connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": migration})
