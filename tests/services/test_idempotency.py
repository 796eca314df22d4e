"""Requests with a key at the same moment and after a crash, on a database of their own where transactions commit."""

from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.composition.services import serving
from app.errors import ConflictError, RequestUnderWayError
from app.models.idempotency import KeptAnswer
from app.models.people.user import Role
from app.models.tasks.task import Task
from app.queries.idempotency import Answer
from app.queries.tasks import TaskQuery
from app.services.idempotency import KEEPING_TIME
from tests import servers
from tests.at_once import at_once
from tests.factories import PASSWORD
from tests.fakes import FakeJobQueue, SharedClock
from tests.settings import make_settings

COUNT = 5
FINGERPRINT = b"of one request"


class TestAnswerOnce:
    def test_of_many_at_once_one_has_its_effect_and_the_others_are_told(self, resources, admin, ask):
        def send(services, _number):
            try:
                return services.idempotency.answer_once(admin, "key", FINGERPRINT, lambda: create(services, admin))
            except RequestUnderWayError:
                return None

        outcomes = [outcome for outcome in at_once(resources, send, count=COUNT) if outcome is not None]

        assert [was_kept for _answer, was_kept in outcomes].count(False) == 1
        assert len({answer.body for answer, _was_kept in outcomes}) == 1
        assert ask(select(func.count()).select_from(Task)) == 1

    def test_while_it_runs_the_same_key_is_refused_at_once(self, resources, admin):
        has_begun, may_end = Event(), Event()

        def slow(services):
            has_begun.set()
            may_end.wait(20)
            return create(services, admin)

        def send(services, number):
            if number == 0:
                return services.idempotency.answer_once(admin, "key", FINGERPRINT, lambda: slow(services))
            has_begun.wait(20)
            try:
                with pytest.raises(RequestUnderWayError) as refused:
                    services.idempotency.answer_once(admin, "key", FINGERPRINT, lambda: create(services, admin))
            finally:
                may_end.set()
            return refused.value

        (_answer, was_kept), refused = at_once(resources, send, count=2)

        assert not was_kept
        assert refused.retry_after_seconds > 0

    def test_an_error_after_the_effect_undoes_the_effect(self, resources, admin, ask):
        def create_and_fail(services):
            create(services, admin)
            raise ConflictError("on purpose")

        with serving(resources) as services, pytest.raises(ConflictError):
            services.idempotency.answer_once(admin, "key", FINGERPRINT, lambda: create_and_fail(services))

        assert ask(select(func.count()).select_from(Task)) == 0
        assert ask(select(func.count()).select_from(KeptAnswer)) == 0
        with serving(resources) as services:
            assert not services.idempotency.answer_once(admin, "key", FINGERPRINT, lambda: create(services, admin))[1]

    def test_history_is_signed_and_pages_are_forgotten(self, resources, admin):
        with serving(resources) as services:
            before, _ = services.task_views.list_page(admin, TaskQuery())
            answer, _ = services.idempotency.answer_once(admin, "key", FINGERPRINT, lambda: create(services, admin))
            (change,) = services.task_history.list_page(admin, int(answer.body), cursor=None, limit=50).items
        with serving(resources) as services:
            after, _ = services.task_views.list_page(admin, TaskQuery())

        assert change.actor == admin.username
        assert (len(before.items), len(after.items)) == (0, 1)


class TestSweep:
    def test_deletes_answers_that_are_no_longer_repeated(self, resources, admin, ask, clock):
        with serving(resources) as services:
            services.idempotency.answer_once(admin, "old", FINGERPRINT, lambda: create(services, admin))
            clock.now += KEEPING_TIME / 2
            services.idempotency.answer_once(admin, "new", FINGERPRINT, lambda: create(services, admin))
            clock.now += KEEPING_TIME / 2 + timedelta(seconds=1)
            services.idempotency.sweep()

        assert ask(select(KeptAnswer.key)) == "new"


def create(services, actor):
    return Answer(201, {}, str(services.tasks.create(actor, {"title": "Once"}).id).encode())


@pytest.fixture
def clock():
    return SharedClock(datetime.now(UTC))


@pytest.fixture
def resources(postgres_url, redis_url, redis, clock):
    with servers.migrated_database(postgres_url) as url:
        resources = Resources(make_settings(url, redis_url), job_queue=FakeJobQueue(), clock=clock)
        yield resources
        resources.engine.dispose()


@pytest.fixture
def admin(resources):
    with serving(resources) as services:
        services.people.create_first_admin(username="admin", email="admin@example.org", password=PASSWORD)
        grant = services.login.log_in(login="admin", password=PASSWORD, address="127.0.0.1")
    return Actor(grant.user_id, "admin", Role.ADMIN, frozenset(), grant.session_id)


@pytest.fixture
def ask(resources):
    def ask(statement):
        with Session(resources.engine) as session:
            return session.scalar(statement)

    return ask
