from dataclasses import replace

import pytest

from tests.factories import PASSWORD
from tests.routes.login.auth_requests import AUTH, ME, log_in, pointers_of


class TestRegister:
    def test_creates_an_account_with_the_role_user(self, client):
        response = register(client)

        assert response.status_code == 201
        assert {name: response.json[name] for name in ("username", "email", "role", "time_zone", "is_active")} == {
            "username": "ann",
            "email": "ann-of-accounts@example.org",
            "role": "user",
            "time_zone": "UTC",
            "is_active": True,
        }
        assert log_in(client, "ann").status_code == 200

    def test_the_answer_does_not_contain_the_password(self, client):
        response = register(client)

        assert set(response.json) == {
            *("id", "username", "email", "role", "time_zone", "is_active", "is_service", "merged_into_id"),
            *("created_at", "updated_at", "version"),
        }

    def test_a_role_cannot_be_chosen(self, client):
        response = register(client, role="admin")

        assert response.status_code == 422
        assert pointers_of(response) == ["/role"]
        assert log_in(client, "ann").status_code == 401

    @pytest.mark.parametrize("taken", ["ann", "ANN", "Ann"])
    def test_a_taken_username_is_refused_in_any_case(self, client, factories, taken):
        factories.User(username="Ann")

        response = register(client, username=taken)

        assert (response.status_code, response.json["code"]) == (409, "username_taken")

    def test_a_taken_address_is_refused_in_any_case(self, client, factories):
        factories.User(email="Ann@example.org")

        response = register(client, email="ann@EXAMPLE.org", username="new")

        assert (response.status_code, response.json["code"]) == (409, "email_taken")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("username", ""),
            ("username", "   "),
            ("username", "1st"),
            ("username", "ann@example.org"),
            ("username", "ann smith"),
            ("username", "me"),
            ("username", "Me"),
            ("username", "none"),
            ("username", "NONE"),
            ("username", "a" * 65),
            ("username", "ann\x00"),
            ("username", None),
            ("username", 7),
            ("email", "not an address"),
            ("email", "ann\x00@example.org"),
            ("email", "a" * 250 + "@example.org"),
            ("password", "eleven-char"),
            ("password", "p" * 129),
            ("password", "ann-of-accounts"),
            ("password", None),
        ],
    )
    def test_an_invalid_value_is_refused_by_name(self, client, field, value):
        response = register(client, **{field: value})

        assert response.status_code == 422
        assert set(pointers_of(response)) == {f"/{field}"}

    class TestClosed:
        def test_registration_is_refused_when_the_operator_closed_it(self, client):
            response = register(client)

            assert (response.status_code, response.json["code"]) == (403, "registration_closed")

        @pytest.fixture
        def settings(self, base_settings):
            return replace(base_settings, self_registration_enabled=False)


class TestProblems:
    def test_an_error_is_a_problem_document(self, client):
        response = client.get(ME, headers={"X-Request-ID": "asked-by-a-test"})

        assert response.content_type == "application/problem+json"
        assert response.json == {
            "type": "about:blank",
            "title": "Unauthorized",
            "status": 401,
            "detail": "a bearer token is needed: log in first",
            "code": "token_missing",
            "request_id": "asked-by-a-test",
        }

    def test_a_401_says_how_to_authenticate(self, client, ann):
        assert client.get(ME).headers["WWW-Authenticate"].startswith("Bearer")
        assert log_in(client, "ann", "a wrong password").headers["WWW-Authenticate"].startswith("Bearer")

    def test_the_request_id_is_that_of_the_answer(self, client):
        response = client.get(ME)

        assert response.json["request_id"] == response.headers["X-Request-ID"]


def register(client, **changes):
    registration = {"username": "ann", "email": "ann-of-accounts@example.org", "password": PASSWORD}
    return client.post(f"{AUTH}/register", {**registration, **changes})
