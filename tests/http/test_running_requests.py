from contextlib import closing
from dataclasses import replace

import pytest

from app.errors import TooManyRunningRequestsError
from app.http.running_requests import RunningRequests
from app.models.people.user import Role

EXPORT = "/api/v1/tasks/export"
TASKS = "/api/v1/tasks"


class TestRunningRequests:
    def test_as_many_run_as_the_limit_says(self, running):
        running.begin(7)
        running.begin(7)

        with pytest.raises(TooManyRunningRequestsError, match="2 of your requests are running"):
            running.begin(7)

    def test_one_that_ended_makes_room(self, running):
        running.begin(7)
        running.begin(7)
        running.end(7)

        running.begin(7)

    def test_each_user_has_their_own(self, running):
        running.begin(7)
        running.begin(7)

        running.begin(8)

    def test_a_refused_one_takes_no_room(self, running):
        for _ in range(2):
            running.begin(7)
        for _ in range(3):
            with pytest.raises(TooManyRunningRequestsError):
                running.begin(7)
        for _ in range(2):
            running.end(7)

        running.begin(7)


class TestAnswers:
    """One request a user, and an export that nobody has read yet is one."""

    def test_one_too_many_is_refused_with_the_reason(self, own):
        with closing(own.get(EXPORT)):
            answer = own.get(TASKS)

        assert (answer.status_code, answer.content_type) == (429, "application/problem+json")
        assert answer.json["code"] == "too_many_running_requests"
        assert answer.json["detail"] == "1 of your requests are running; wait for one of them to end"
        assert answer.headers["Retry-After"] == "1"

    def test_the_table_says_it_in_its_own_shape(self, own):
        with closing(own.get(EXPORT)):
            answer = own.get("/activetasks")

        assert (answer.status_code, list(answer.json)) == (429, ["error"])

    def test_another_user_is_answered(self, own, client, factories):
        with closing(own.get(EXPORT)):
            assert client.acting_as(factories.User(role=Role.MANAGER)).get(TASKS).status_code == 200

    def test_so_is_who_has_no_token(self, own, client):
        with closing(own.get(EXPORT)):
            assert client.get("/ping").status_code == 200
            assert client.get(TASKS).status_code == 401

    @pytest.mark.parametrize("path", [TASKS, f"{TASKS}/999999", "/nowhere", f"{TASKS}?limit=0", EXPORT])
    def test_whatever_was_answered_makes_room(self, own, path):
        for _ in range(2):
            with closing(own.get(path)) as answer:
                answer.get_data()

            assert own.get(TASKS).status_code == 200

    def test_a_request_whose_body_is_still_being_received_takes_no_room(self, own):
        answered = []

        class Body:
            def read(self, _size):
                answered.append(own.get(TASKS).status_code)
                return b'{"title": "Late"}'

        environ = {"wsgi.input": Body(), "CONTENT_LENGTH": "17", "CONTENT_TYPE": "application/json"}

        assert own.post(TASKS, environ_overrides=environ).status_code == 201
        assert answered == [200]


class TestWithoutLimits:
    def test_nobody_is_counted(self, own):
        with closing(own.get(EXPORT)):
            assert own.get(TASKS).status_code == 200

    @pytest.fixture
    def settings(self, settings):
        return replace(settings, rate_limits=replace(settings.rate_limits, enabled=False))


@pytest.fixture
def running():
    return RunningRequests(2)


@pytest.fixture
def own(client, admin):
    return client.acting_as(admin)


@pytest.fixture
def settings(base_settings):
    return replace(base_settings, max_running_requests_per_user=1)
