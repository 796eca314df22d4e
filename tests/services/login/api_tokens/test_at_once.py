"""API tokens in several transactions at once. Each test has a database of its own, where transactions commit."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.auth.tokens import TokenInvalidError
from app.composition.resources import Resources
from app.composition.services import serving
from app.errors import TooManyTokensError
from app.models.login.api_token import ApiToken, TokenScope
from app.models.people.user import Role
from app.services.login.api_tokens import MAX_VALID_TOKENS
from tests import factories as all_factories
from tests.at_once import at_once

CALLERS = 4


class TestCreate:
    def test_only_one_request_gets_the_last_token(self, own_resources):
        owner, _ = make_owner_with_tokens(own_resources, MAX_VALID_TOKENS - 1)

        def create(services, number):
            try:
                services.api_tokens.create(owner, owner.user_id, name=f"{number}", scopes=[TokenScope.TASKS_READ])
            except TooManyTokensError:
                return False
            return True

        assert sum(at_once(own_resources, create, count=CALLERS)) == 1


class TestLastUse:
    def test_does_not_wait_for_whoever_has_locked_the_token(self, own_resources):
        owner, (digest,) = make_owner_with_tokens(own_resources, 1)

        with own_resources.new_session() as other:
            other.scalars(select(ApiToken).with_for_update()).one()
            # A wait would end with an error after the lock timeout.
            with serving(own_resources) as services:
                assert services.actors.get_owner(digest).user_id == owner.user_id

        assert last_use(own_resources) is None

    def test_is_noted_once_by_many_requests(self, own_resources):
        _, (digest,) = make_owner_with_tokens(own_resources, 1)
        began_at = datetime.now(UTC)

        at_once(own_resources, lambda services, _: services.actors.get_owner(digest), count=CALLERS)

        assert began_at <= last_use(own_resources) <= datetime.now(UTC)


class TestRevoke:
    def test_reaches_other_processes_at_once(self, own_resources, other_resources):
        owner, (digest,) = make_owner_with_tokens(own_resources, 1)
        with serving(other_resources) as other_process:
            assert other_process.actors.get_owner(digest)

        with serving(own_resources) as services:
            services.api_tokens.revoke(owner, owner.user_id, 1)

        with serving(other_resources) as other_process, pytest.raises(TokenInvalidError):
            other_process.actors.get_owner(digest)


def make_owner_with_tokens(resources, count):
    with Session(resources.engine) as session:
        all_factories.bind(session)
        user = all_factories.User()
        digests = [all_factories.ApiToken(owner_id=user.id).digest for _ in range(count)]
        session.commit()
        return Actor(user.id, user.username, Role.USER, frozenset()), digests


def last_use(resources):
    with resources.new_session() as session:
        return session.scalars(select(ApiToken.last_used_at)).one()


@pytest.fixture
def other_resources(own_resources, job_queue):
    """The resources of another process, with what it keeps itself."""
    resources = Resources(own_resources.settings, job_queue=job_queue)
    yield resources
    resources.engine.dispose()
