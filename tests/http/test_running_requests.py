from contextlib import closing
from dataclasses import replace

import pytest

from app.errors import TooManyRunningRequestsError
from app.http.running_requests import RunningRequests
from app.models.people.user import Role

EXPORT = "/api/v1/tasks/export"
TASKS = "/api/v1/tasks"


class TestRunningRequests:
    def test_one_over_the_limit_is_refused(self, running):
        running.begin(7)
        running.begin(7)

        with pytest.raises(TooManyRunningRequestsError, match="2 of your requests are running"):
            running.begin(7)

    def test_a_request_that_ended_makes_room(self, running):
        running.begin(7)
        running.begin(7)
        running.end(7)

        running.begin(7)

    def test_each_user_has_a_limit_of_their_own(self, running):
        running.begin(7)
        running.begin(7)

        running.begin(8)

    def test_a_refused_request_takes_no_room(self, running):
        for _ in range(2):
            running.begin(7)
        for _ in range(3):
            with pytest.raises(TooManyRunningRequestsError):
                running.begin(7)
        for _ in range(2):
            running.end(7)

        running.begin(7)


class TestAnswers:
    """Each user may run one request, and an unread export is one."""

    def test_one_request_too_many_is_refused_with_the_reason(self, own_client):
        with closing(own_client.get(EXPORT)):
            answer = own_client.get(TASKS)

        assert (answer.status_code, answer.content_type) == (429, "application/problem+json")
        assert answer.json["code"] == "too_many_running_requests"
        assert answer.json["detail"] == "1 of your requests are running; wait for one of them to end"
        assert answer.headers["Retry-After"] == "1"

    def test_a_classic_route_refuses_in_its_own_format(self, own_client):
        with closing(own_client.get(EXPORT)):
            answer = own_client.get("/activetasks")

        assert (answer.status_code, list(answer.json)) == (429, ["error"])

    def test_an_api_token_is_no_second_allowance(self, own_client, client, admin):
        token = client.with_api_token_of(admin)
        # The process learns whose token it is.
        assert token.get(TASKS).status_code == 200

        with closing(own_client.get(EXPORT)):
            assert token.get(TASKS).json["code"] == "too_many_running_requests"
        with closing(token.get(EXPORT)):
            assert own_client.get(TASKS).json["code"] == "too_many_running_requests"

    def test_another_user_is_answered(self, own_client, client, factories):
        with closing(own_client.get(EXPORT)):
            assert client.acting_as(factories.User(role=Role.MANAGER)).get(TASKS).status_code == 200

    def test_a_client_without_a_token_is_answered(self, own_client, client):
        with closing(own_client.get(EXPORT)):
            assert client.get("/ping").status_code == 200
            assert client.get(TASKS).status_code == 401

    @pytest.mark.parametrize("path", [TASKS, f"{TASKS}/999999", "/nowhere", f"{TASKS}?limit=0", EXPORT])
    def test_every_answered_request_makes_room(self, own_client, path):
        for _ in range(2):
            with closing(own_client.get(path)) as answer:
                answer.get_data()

            assert own_client.get(TASKS).status_code == 200

    def test_a_request_whose_body_is_still_being_received_takes_no_room(self, own_client):
        answered = []

        class Body:
            def read(self, _size):
                answered.append(own_client.get(TASKS).status_code)
                return b'{"title": "Late"}'

        environ = {"wsgi.input": Body(), "CONTENT_LENGTH": "17", "CONTENT_TYPE": "application/json"}

        assert own_client.post(TASKS, environ_overrides=environ).status_code == 201
        assert answered == [200]


class TestWithoutLimits:
    def test_no_request_is_refused(self, own_client):
        with closing(own_client.get(EXPORT)):
            assert own_client.get(TASKS).status_code == 200

    @pytest.fixture
    def settings(self, settings):
        return replace(settings, rate_limits=replace(settings.rate_limits, enabled=False))


@pytest.fixture
def running():
    return RunningRequests(2)


@pytest.fixture
def own_client(client, admin):
    return client.acting_as(admin)


@pytest.fixture
def settings(base_settings):
    return replace(base_settings, max_running_requests_per_user=1)
