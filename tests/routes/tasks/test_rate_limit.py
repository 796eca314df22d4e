import re
from dataclasses import replace

import pytest

from app.settings import RateLimit
from tests.routes.tasks.task_requests import TASKS, UNKNOWN_ID


class TestRateLimit:
    def test_every_answer_states_the_remaining_requests(self, as_user):
        first, second = as_user.get(TASKS), as_user.get(f"{TASKS}/{UNKNOWN_ID}")

        assert [response.headers["X-RateLimit-Limit"] for response in (first, second)] == ["3", "3"]
        assert [response.headers["X-RateLimit-Remaining"] for response in (first, second)] == ["2", "1"]
        assert int(first.headers["X-RateLimit-Reset"]) > 0
        assert first.headers["RateLimit-Policy"] == '"default";q=3;w=60'
        assert re.fullmatch(r'"default";r=2;t=\d+', first.headers["RateLimit"])
        assert "Retry-After" not in first.headers

    def test_too_many_requests_are_a_429_with_a_time_to_retry(self, as_user):
        for _ in range(3):
            assert as_user.get(TASKS).status_code == 200

        response = as_user.get(TASKS)

        assert (response.status_code, response.json["code"]) == (429, "too_many_requests")
        assert response.content_type == "application/problem+json"
        assert response.headers["X-RateLimit-Remaining"] == "0"
        assert 1 <= int(response.headers["Retry-After"]) <= 61
        assert response.headers["RateLimit"] == f'"default";r=0;t={response.headers["Retry-After"]}'

    def test_each_user_has_a_limit_of_their_own(self, client, factories, as_user):
        for _ in range(4):
            as_user.get(TASKS)

        assert client.acting_as(factories.User()).get(TASKS).status_code == 200

    def test_two_sessions_of_one_user_share_a_count(self, client, user):
        for _ in range(3):
            client.acting_as(user).get(TASKS)

        assert client.acting_as(user).get(TASKS).status_code == 429

    def test_a_client_without_a_token_is_counted_by_address(self, client):
        for _ in range(3):
            assert client.get(TASKS, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code == 401

        assert client.get(TASKS, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code == 429
        assert client.get(TASKS, environ_overrides={"REMOTE_ADDR": "192.0.2.2"}).status_code == 401

    def test_a_forged_token_does_not_avoid_the_limit(self, client):
        for number in range(3):
            client.get(TASKS, headers={"Authorization": f"Bearer made.up.{number}"})

        assert client.get(TASKS, headers={"Authorization": "Bearer made.up.again"}).status_code == 429

    def test_preflight_requests_are_counted(self, as_user, caplog):
        for _ in range(3):
            assert as_user.request("OPTIONS", TASKS).status_code == 200

        assert as_user.get(TASKS).status_code == 429
        assert caplog.records == []

    def test_probes_are_not_counted(self, client):
        for _ in range(5):
            assert client.get("/healthz").status_code == 200

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, rate_limits=replace(base_settings.rate_limits, default=RateLimit(3, 60)))


class TestRateLimitOff:
    def test_nothing_is_counted(self, as_user):
        for _ in range(4):
            response = as_user.get(TASKS)

        assert response.status_code == 200
        assert not [name for name, _ in response.headers if "ratelimit" in name.lower()]

    @pytest.fixture
    def settings(self, base_settings):
        off = replace(base_settings.rate_limits, enabled=False, default=RateLimit(3, 60))
        return replace(base_settings, rate_limits=off)
