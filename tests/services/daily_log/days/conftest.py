"""The service that logs days, at noon on 10 March, and a task."""

from contextlib import ExitStack
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from app.composition.resources import Resources
from app.composition.services import serving
from tests import servers
from tests.conftest import simulate_clock
from tests.fakes import FixedClock
from tests.services.daily_log.days.march import MORNING, NOON, task_since


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def service(services):
    return services.daily_log


@pytest.fixture
def service_in(settings, resources):
    """The service of a workspace in another time zone."""
    with ExitStack() as stack:

        def make(zone):
            elsewhere = Resources(
                replace(settings, time_zone=ZoneInfo(zone)),
                job_queue=resources.job_queue,
                cache=resources.cache,
                clock=resources.clock,
            )
            elsewhere.new_session = resources.new_session
            return stack.enter_context(serving(elsewhere)).daily_log

        yield make


@pytest.fixture
def task(factories):
    return task_since(MORNING)


@pytest.fixture
def own_resources(base_settings, postgres_url, job_queue, redis):
    def tell_database(now):
        with resources.engine.begin() as connection:
            simulate_clock(connection, now)

    with servers.migrated_database(postgres_url, has_simulated_clock=True) as url:
        resources = Resources(replace(base_settings, database_url=url), job_queue=job_queue)
        resources.clock = FixedClock(NOON, tell=tell_database)
        yield resources
        resources.engine.dispose()
