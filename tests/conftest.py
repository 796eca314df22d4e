"""The fixtures of all tests: real PostgreSQL and Valkey, and for each test a transaction that is rolled back."""

import gc
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.composition.services import Services, serving
from app.csv_files.blocks import allow_long_cells
from app.database.engine import DIRECT_OPTION, let_plan_once, make_session_factory
from app.factory import create_app, start_afresh
from app.models.people.user import Role
from app.models.people.user import User as UserModel
from app.models.projects.project import Project
from app.settings import Settings
from tests import factories as all_factories
from tests import servers
from tests.actors import actor_of
from tests.client import Client
from tests.fakes import FakeJobQueue, FixedClock
from tests.settings import make_settings

# More than one process a core: for a third of their time, tests wait for servers, signals and deadlines.
PROCESSES_PER_CORE = 1.5
# No tracker that a test starts reads the .env of this checkout.
os.environ["ENV_FILE"] = ""


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """The number of processes for `-n auto`."""
    return int((yield) * PROCESSES_PER_CORE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest tests first, so that all processes end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """Spare the garbage collector thousands of collected tests, which it would look at again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _remove_system_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield
    servers.remove_system_users(below=tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session", autouse=True)
def _long_cells() -> None:
    """The factory does the same in every process."""
    allow_long_cells()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture(scope="session")
def database_url(postgres_url: str) -> Iterator[str]:
    with servers.migrated_database(postgres_url, has_simulated_clock=True) as url:
        yield url


@pytest.fixture(scope="session")
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url, connect_args={"options": f"-c timezone=UTC {DIRECT_OPTION}"})
    let_plan_once(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection on which everything that a test commits is rolled back afterwards."""
    with engine.connect() as connection:
        outer = connection.begin()
        yield connection
        outer.rollback()


@pytest.fixture
def session(connection: Connection) -> Iterator[Session]:
    """The test's own session. The code under test uses another session on the same connection."""
    with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
        yield session


@pytest.fixture
def factories(session: Session) -> ModuleType:
    all_factories.bind(session)
    return all_factories


@pytest.fixture(scope="session")
def base_settings(database_url: str, redis_url: str) -> Settings:
    return make_settings(database_url, redis_url)


@pytest.fixture
def zone() -> str:
    """The time zone of the workspace; a test may override it."""
    return "UTC"


@pytest.fixture
def settings(base_settings: Settings, zone: str) -> Settings:
    """The settings of the app. A module that needs others overrides this fixture with `replace(base_settings, …)`."""
    return replace(base_settings, time_zone=ZoneInfo(zone))


@pytest.fixture
def clock(connection: Connection) -> FixedClock:
    """The clock of the services, and of the database when it records the history and the daily log."""
    return FixedClock(datetime.now(UTC), tell=partial(simulate_clock, connection))


def simulate_clock(connection: Connection, now: datetime) -> None:
    connection.execute(text("UPDATE test_clock SET now = :now"), {"now": now})


@pytest.fixture
def job_queue() -> FakeJobQueue:
    return FakeJobQueue()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    client = Redis.from_url(redis_url)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def resources(
    settings: Settings, connection: Connection, job_queue: FakeJobQueue, clock: FixedClock, redis: Redis
) -> Iterator[Resources]:
    resources = Resources(settings, job_queue=job_queue, clock=clock)
    resources.new_session = make_session_factory(connection)
    yield resources
    resources.engine.dispose()


@pytest.fixture
def services(resources: Resources) -> Iterator[Services]:
    with serving(resources) as services:
        yield services


@pytest.fixture(scope="session")
def apps() -> dict[Settings, Flask]:
    """One app for each variant of the settings, because making an app takes longer than most tests."""
    return {}


@pytest.fixture
def app(settings: Settings, resources: Resources, apps: dict[Settings, Flask]) -> Flask:
    """An app that tests with the same settings share. A test that adds to the app makes its own with `create_app`."""
    if settings not in apps:
        apps[settings] = create_app(settings, resources=resources)
    start_afresh(apps[settings], settings, resources)
    return apps[settings]


@pytest.fixture
def client(app: Flask, factories: ModuleType) -> Client:
    """A client without a token; `client.acting_as(user)` has one."""
    return Client(app)


@pytest.fixture
def admin(factories: ModuleType) -> UserModel:
    return factories.User(role=Role.ADMIN)


@pytest.fixture
def acting_as(session: Session, factories: ModuleType):
    """Makes an actor from a user, for calling services."""

    return lambda user: actor_of(session, user)


@pytest.fixture
def boss(admin: UserModel, acting_as: Callable[[UserModel], Actor]) -> Actor:
    """The admin as an actor."""
    return acting_as(admin)


@pytest.fixture
def ops(factories: ModuleType) -> Project:
    """A project that only its members and admins see."""
    return factories.Project(key="OPS")
