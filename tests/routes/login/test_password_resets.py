import pytest

from app.models.people.user import Role
from tests.factories import PASSWORD
from tests.routes.login.auth_requests import AUTH, ME, bearer, log_in

RESET = f"{AUTH}/password-reset"
NEW_PASSWORD = "tr0ub4dor and three"


class TestMake:
    def test_shows_the_token_and_its_expiry(self, client, admin, ann):
        response = client.acting_as(admin).post(f"/api/v1/users/{ann.id}/password-reset")

        assert response.status_code == 201
        assert set(response.json) == {"token", "expires_at"}

    def test_a_repeated_request_with_a_key_makes_another_token(self, client, admin, ann):
        asking, headers = client.acting_as(admin), {"Idempotency-Key": "once"}

        first, second = (asking.post(f"/api/v1/users/{ann.id}/password-reset", headers=headers) for _ in range(2))

        assert first.json["token"] != second.json["token"]

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_only_an_admin_may(self, client, factories, ann, role):
        response = client.acting_as(factories.User(role=role)).post(f"/api/v1/users/{ann.id}/password-reset")

        assert (response.status_code, response.json["code"]) == (403, "forbidden")

    def test_a_service_account_gets_none(self, client, admin, factories):
        response = client.acting_as(admin).post(f"/api/v1/users/{factories.ServiceAccount().id}/password-reset")

        assert (response.status_code, response.json["code"]) == (409, "cannot_log_in")

    def test_an_unknown_user_is_not_found(self, client, admin):
        assert client.acting_as(admin).post("/api/v1/users/999999999/password-reset").status_code == 404


class TestSpend:
    def test_sets_the_password_and_ends_all_sessions(self, client, token, ann):
        before = log_in(client, "ann").json

        response = client.post(RESET, {"token": token, "new_password": NEW_PASSWORD})

        assert (response.status_code, response.data) == (204, b"")
        assert client.get(ME, headers=bearer(before["access_token"])).json["code"] == "session_ended"
        assert log_in(client, "ann", PASSWORD).status_code == 401
        assert log_in(client, "ann", NEW_PASSWORD).status_code == 200

    def test_unknown_and_spent_tokens_get_one_answer(self, client, token):
        headers = {"X-Request-ID": "the-same"}
        client.post(RESET, {"token": token, "new_password": NEW_PASSWORD})

        spent, unknown = (
            client.post(RESET, {"token": each, "new_password": NEW_PASSWORD}, headers=headers)
            for each in (token, "unknown")
        )

        assert (spent.status_code, spent.json["code"]) == (422, "reset_token_invalid")
        assert spent.json["errors"] == [
            {"pointer": "/token", "detail": "is not valid, was used already, or has expired"}
        ]
        assert spent.data == unknown.data

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"token": ""}, "/token"),
            ({"token": None}, "/token"),
            ({"token": 7}, "/token"),
            ({"token": "t" * 201}, "/token"),
            ({"token": "nul\x00"}, "/token"),
            ({"new_password": "eleven-char"}, "/new_password"),
            ({"new_password": "p" * 129}, "/new_password"),
            ({"new_password": None}, "/new_password"),
            ({"username": "ann"}, "/username"),
        ],
    )
    def test_an_invalid_value_is_refused_by_name(self, client, token, changes, pointer):
        response = client.post(RESET, {"token": token, "new_password": NEW_PASSWORD, **changes})

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == [pointer]

    @pytest.fixture
    def token(self, client, admin, ann):
        return client.acting_as(admin).post(f"/api/v1/users/{ann.id}/password-reset").json["token"]
