"""API tokens and the limits on requests."""

from dataclasses import replace

import pytest

from app.auth.api_tokens import new_token
from app.cache import Space
from app.models.login.api_token import TokenScope
from app.settings import RateLimit
from tests.routes.login.auth_requests import ME, bearer

ATTACKER, HOME = "192.0.2.1", "198.51.100.1"
LIMIT = 5


class TestInventedTokens:
    def test_count_for_the_address_however_many_there_are(self, client):
        statuses = [status_from(client, ATTACKER, new_token()) for _ in range(LIMIT + 2)]

        assert statuses == [401] * LIMIT + [429] * 2

    def test_share_the_count_of_requests_without_a_token(self, client):
        for _ in range(LIMIT):
            client.get(ME, environ_overrides={"REMOTE_ADDR": ATTACKER})

        assert status_from(client, ATTACKER, new_token()) == 429

    def test_do_not_limit_other_addresses(self, client):
        for _ in range(LIMIT + 1):
            status_from(client, ATTACKER, new_token())

        assert status_from(client, HOME, new_token()) == 401


class TestRevokedTokens:
    def test_count_for_the_address_again(self, client, token, api_token, clock, session):
        assert status_from(client, HOME, token) == 200
        assert status_from(client, HOME, token) == 200
        api_token.revoked_at = clock()
        session.flush()
        client.app.extensions["resources"].cache.forget(Space.ACTORS)
        # The first one still counts for the owner.
        assert status_from(client, ATTACKER, token) == 401

        statuses = [status_from(client, ATTACKER, new_token()) for _ in range(LIMIT - 1)]

        assert status_from(client, ATTACKER, token) == 401
        assert statuses == [401] * (LIMIT - 1)
        assert status_from(client, ATTACKER, token) == 429


class TestValidTokens:
    def test_share_the_count_of_their_owner(self, client, token, ann):
        # The process learns whose token it is from the first request, which counts for the address.
        assert status_from(client, HOME, token) == 200
        for _ in range(LIMIT - 1):
            client.acting_as(ann).get(ME)

        assert status_from(client, HOME, token) == 200
        assert status_from(client, HOME, token) == 429
        assert client.acting_as(ann).get(ME).status_code == 429

    def test_are_not_limited_by_others_at_their_address(self, client, token):
        assert status_from(client, HOME, token) == 200
        for _ in range(LIMIT):
            status_from(client, HOME, new_token())

        assert status_from(client, HOME, new_token()) == 429
        assert status_from(client, HOME, token) == 200

    def test_two_tokens_of_one_user_are_no_second_limit(self, client, token, ann):
        other = client.with_api_token_of(ann, TokenScope.TASKS_READ)
        assert status_from(client, HOME, token) == 200
        assert other.get(ME).status_code == 200
        for _ in range(LIMIT):
            assert status_from(client, HOME, token) == 200

        assert other.get(ME).status_code == 429


def status_from(client, address, token):
    return client.get(ME, headers=bearer(token), environ_overrides={"REMOTE_ADDR": address}).status_code


@pytest.fixture
def token():
    return new_token()


@pytest.fixture(autouse=True)
def api_token(ann, factories, token):
    return factories.ApiToken(owner_id=ann.id, token=token)


@pytest.fixture
def settings(base_settings):
    limits = replace(base_settings.rate_limits, enabled=True, default=RateLimit(LIMIT, 60))
    return replace(base_settings, rate_limits=limits)
