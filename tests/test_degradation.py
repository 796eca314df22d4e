"""The promises of the tracker while a server is gone, frozen or flushed."""

import socket
import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from app.auth.api_tokens import new_token
from app.composition.resources import Resources
from app.database.engine import make_session_factory
from app.factory import create_app
from app.job_queue import CeleryJobQueue
from app.jobs.celery_app import make_celery
from app.models.people.user import Role
from app.settings import RateLimit
from tests.client import Client
from tests.factories import PASSWORD
from tests.fakes import FakeJobQueue


@pytest.mark.parametrize("redis_state", ["dead", "frozen"])
class TestWithoutRedis:
    def test_the_api_answers(self, client_without_redis, admin):
        client = client_without_redis().acting_as(admin)

        created = client.post("/api/v1/tasks", {"title": "Needs no Redis"})
        listed = client.get("/api/v1/tasks")

        assert created.status_code == 201
        assert listed.status_code == 200
        assert listed.headers["X-Cache"] == "miss"
        assert [item["title"] for item in listed.json["items"]] == ["Needs no Redis"]

    def test_several_requests_cost_one_timeout(self, client_without_redis, admin):
        client = client_without_redis().acting_as(admin)
        client.get("/api/v1/tasks")

        started = time.monotonic()
        for _ in range(10):
            assert client.get("/api/v1/tasks").status_code == 200

        # Ten frozen look-ups would take 2.5 s of waiting.
        assert time.monotonic() - started < 2.0

    def test_limits_still_apply(self, client_without_redis, admin, settings):
        limits = replace(settings.rate_limits, tasks=RateLimit(3, 60))
        client = client_without_redis(limits).acting_as(admin)

        statuses = [client.get("/tasks").status_code for _ in range(5)]

        assert statuses == [200, 200, 200, 429, 429]

    def test_log_ins_are_still_counted(self, client_without_redis, factories, settings):
        user = factories.User()
        limits = replace(settings.rate_limits, login=RateLimit(2, 60))
        client = client_without_redis(limits)

        answers = [client.post("/login", {"username": user.username, "password": PASSWORD}) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]

    def test_an_api_token_is_accepted_until_it_is_revoked(self, client_without_redis, factories):
        user = factories.User()
        client = client_without_redis()
        using_token = client.with_api_token_of(user)
        assert using_token.get("/api/v1/tasks").status_code == 200
        (token,) = client.acting_as(user).get("/api/v1/auth/tokens").json["items"]

        revoked = client.acting_as(user).delete(f"/api/v1/auth/tokens/{token['id']}")

        assert token["last_used_at"] is not None
        assert revoked.status_code == 204
        assert using_token.get("/api/v1/tasks").status_code == 401

    def test_invented_api_tokens_count_for_their_address(self, client_without_redis, settings):
        client = client_without_redis(replace(settings.rate_limits, default=RateLimit(3, 60)))

        statuses = [client.sending(new_token()).get("/api/v1/tasks").status_code for _ in range(5)]

        assert statuses == [401, 401, 401, 429, 429]

    def test_a_request_for_a_job_is_kept_when_no_worker_can_be_woken(self, client_without_redis, admin, services):
        answer = client_without_redis().acting_as(admin).post("/log-tasks")

        assert answer.status_code == 202
        assert len(services.daily_log.log_due_days()) == 1


class TestFlushedRedis:
    def test_only_speed_is_lost(self, client, admin, redis, services):
        client = client.acting_as(admin)
        client.post("/api/v1/tasks", {"title": "Still here"})
        client.get("/api/v1/tasks")
        client.post("/log-tasks")

        redis.flushdb()

        again = client.get("/api/v1/tasks")
        assert again.headers["X-Cache"] == "miss"
        assert [item["title"] for item in again.json["items"]] == ["Still here"]
        assert len(services.daily_log.log_due_days()) == 1


class TestWithoutPostgres:
    def test_the_answer_is_a_quick_503_with_a_time_to_retry(self, settings, closed_port, factories):
        away = replace(settings, database_url=f"postgresql+psycopg2://nobody@127.0.0.1:{closed_port}/none")
        client = Client(create_app(away)).acting_as(factories.User(role=Role.ADMIN))

        started = time.monotonic()
        answer = client.get("/api/v1/tasks")

        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "2"
        assert answer.json["code"] == "unavailable"
        assert time.monotonic() - started < 3
        assert client.get("/healthz").status_code == 200
        readiness = client.get("/readyz")
        assert readiness.status_code == 503
        assert readiness.json["checks"]["database"] == {"ok": False, "reason": "does not answer"}


class TestLockedTable:
    def test_a_request_does_not_wait_as_long_as_a_job(self, settings):
        resources = Resources(settings, job_queue=FakeJobQueue())
        with resources.new_session() as session:
            assert session.scalar(text("SHOW lock_timeout")) == "2s"
        resources.engine.dispose()


@pytest.fixture
def redis_url_of_state(redis_state, closed_port):
    if redis_state == "dead":
        yield f"redis://127.0.0.1:{closed_port}/0"
        return
    with socket.create_server(("127.0.0.1", 0), backlog=128) as frozen:
        yield f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"


@pytest.fixture
def client_without_redis(settings, redis_url_of_state, connection, clock, factories):
    made = []

    def make(rate_limits=None):
        without = replace(
            settings,
            redis_url=redis_url_of_state,
            celery_broker_url=redis_url_of_state,
            rate_limits=rate_limits or settings.rate_limits,
        )
        resources = Resources(without, job_queue=CeleryJobQueue(make_celery(without)), clock=clock)
        resources.new_session = make_session_factory(connection)
        made.append(resources)
        return Client(create_app(without, resources=resources))

    yield make
    for resources in made:
        resources.engine.dispose()


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
