"""What a user loses bites on their next request to any process, and within seconds if the processes cannot talk."""

import socket
import time

import pytest

from app.cache import Cache
from app.composition.resources import Resources
from app.database.engine import make_session_factory
from app.factory import create_app
from app.models.people.user import Role
from app.redis_connections import make_redis
from app.services.login.actors import TTL_SECONDS
from tests.client import Client
from tests.fakes import FakeJobQueue

PROJECTS = "/api/v1/projects"
USERS = "/api/v1/users"


def log_out(_admin, member, _user):
    assert member.post("/api/v1/auth/logout").status_code == 204


def demote(admin, _member, user):
    assert admin.patch(f"{USERS}/{user.id}", {"role": "viewer"}).status_code == 200


def remove(admin, _member, user):
    assert admin.delete(f"{PROJECTS}/OPS/members/{user.username}").status_code == 204


def deactivate(admin, _member, user):
    assert admin.delete(f"{USERS}/{user.id}").status_code == 204


@pytest.mark.parametrize(
    ("withdraw", "status"),
    [(log_out, 401), (demote, 403), (remove, 404), (deactivate, 401)],
    ids=["session", "role", "membership", "account"],
)
class TestWithdrawnRight:
    def test_bites_on_the_next_request_to_another_process(self, process, rename, withdraw_in, status):
        here, there = process(), process()
        assert rename(there) == 200

        withdraw_in(here)

        assert rename(there) == status

    def test_bites_without_redis(self, process, rename, withdraw_in, status):
        here, there = process(has_redis=False), process(has_redis=False)
        assert rename(there) == 200

        withdraw_in(here)

        assert rename(there) == status

    def test_bites_within_seconds_if_only_the_other_process_has_redis(
        self, process, rename, redis, withdraw_in, status
    ):
        here, there = process(has_redis=False), process()
        # From the second request on, processes share the user through Redis.
        assert [rename(there), rename(there)] == [200, 200]

        withdraw_in(here)
        # The processes share what Redis keeps, and that expires there by itself.
        for key in redis.scan_iter("page:*"):
            redis.delete(key)
        there.later_by(TTL_SECONDS)

        assert rename(there) == status


class Process:
    """An app with a cache of its own, as each process of the api has."""

    def __init__(self, settings, connection, *, has_redis):
        self._now = time.monotonic()
        cache = Cache(make_redis(settings.redis_url if has_redis else nobodys_url()), now=lambda: self._now)
        self.resources = Resources(settings, job_queue=FakeJobQueue(), cache=cache)
        self.resources.new_session = make_session_factory(connection)
        self.client = Client(create_app(settings, resources=self.resources))

    def later_by(self, seconds):
        self._now += seconds


def nobodys_url():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{probe.getsockname()[1]}/0"


@pytest.fixture
def process(settings, connection, factories, redis):
    made = []

    def process(*, has_redis=True):
        made.append(Process(settings, connection, has_redis=has_redis))
        return made[-1]

    yield process
    for each in made:
        each.resources.engine.dispose()


@pytest.fixture
def manager(factories):
    project = factories.Project(key="OPS")
    user = factories.User(role=Role.MANAGER)
    factories.ProjectMember(project_id=project.id, user_id=user.id)
    return user


@pytest.fixture
def headers(client, manager):
    """One log-in of the manager, for requests to all processes."""
    return {"Authorization": f"Bearer {client.token_of(manager)}"}


@pytest.fixture
def rename(headers):
    """Send the request that the withdrawal forbids, and return its status."""
    return lambda process: process.client.patch(f"{PROJECTS}/OPS", {"name": "Renamed"}, headers=headers).status_code


@pytest.fixture
def withdraw_in(admin, manager, headers, withdraw):
    """Let a process withdraw the right."""

    def withdraw_in(process):
        withdraw(process.client.acting_as(admin), Client(process.client.app, headers), manager)

    return withdraw_in
