from dataclasses import replace

import pytest

from app.models.people.user import Role
from app.settings import RateLimit
from tests.factories import PASSWORD
from tests.routes.login.auth_requests import AUTH, ME, bearer, log_in, pointers_of

NEW_PASSWORD = "tr0ub4dor and three"


class TestLogIn:
    @pytest.mark.parametrize("login", ["Ann", "ann", "ann@example.org", "ANN@Example.Org", "  ann "])
    def test_accepts_the_username_or_the_address_in_any_case(self, client, ann, login):
        response = log_in(client, login)

        assert response.status_code == 200
        assert response.json["token_type"] == "Bearer"
        assert response.json["expires_in"] == 15 * 60
        assert client.get(ME, headers=bearer(response.json["access_token"])).json["id"] == ann.id

    def test_no_cache_stores_the_tokens(self, client, ann):
        assert log_in(client, "ann").headers["Cache-Control"] == "no-store"

    def test_an_unknown_name_is_answered_like_a_wrong_password(self, client, ann):
        same_id = {"X-Request-ID": "the-same"}

        wrong = client.post(f"{AUTH}/login", {"username": "ann", "password": "wrong password"}, headers=same_id)
        unknown = client.post(f"{AUTH}/login", {"username": "bob", "password": "wrong password"}, headers=same_id)

        assert (wrong.status_code, wrong.json["code"]) == (401, "wrong_credentials")
        assert (unknown.status_code, unknown.json) == (wrong.status_code, wrong.json)
        assert set(unknown.headers.keys()) == set(wrong.headers.keys())

    def test_a_deactivated_user_is_answered_like_a_wrong_password(self, client, factories, ann):
        same_id = {"X-Request-ID": "the-same"}
        factories.User(username="gone", is_active=False)

        wrong = client.post(f"{AUTH}/login", {"username": "ann", "password": "wrong password"}, headers=same_id)
        inactive = client.post(f"{AUTH}/login", {"username": "gone", "password": PASSWORD}, headers=same_id)

        assert (inactive.status_code, inactive.json) == (wrong.status_code, wrong.json)

    def test_a_user_made_by_an_import_has_no_password_to_guess(self, client, factories):
        factories.User(username="imported", email=None, password_hash=None, is_active=False)

        assert log_in(client, "imported").status_code == 401

    def test_a_username_is_not_taken_for_an_address(self, client, factories):
        factories.User(username="bob", email="ann@example.org")

        assert log_in(client, "ann").status_code == 401

    @pytest.mark.parametrize(
        ("body", "pointers"),
        [
            ({}, ["/password", "/username"]),
            ({"username": "ann"}, ["/password"]),
            ({"username": ["ann"], "password": PASSWORD}, ["/username"]),
            ({"username": "ann", "password": PASSWORD, "remember": True}, ["/remember"]),
            ({"username": "ann\x00", "password": PASSWORD}, ["/username"]),
        ],
    )
    def test_an_invalid_body_is_refused(self, client, body, pointers):
        response = client.post(f"{AUTH}/login", body)

        assert response.status_code == 422
        assert sorted(pointers_of(response)) == pointers


class TestLogInLimits:
    def test_an_address_has_a_limit_over_all_names(self, client, ann):
        for guess in range(3):
            assert log_in(client, f"guess{guess}", "a wrong password").status_code == 401

        response = log_in(client, "ann")

        assert (response.status_code, response.json["code"]) == (429, "too_many_requests")

    def test_an_address_may_try_again_after_retry_after(self, client, ann, clock):
        for _ in range(3):
            log_in(client, "ann", "a wrong password")
        clock.advance(seconds=20)
        response = log_in(client, "ann")
        wait_seconds = int(response.headers["Retry-After"])
        assert 40 <= wait_seconds <= 41

        clock.advance(seconds=wait_seconds)

        assert log_in(client, "ann").status_code == 200

    def test_another_address_is_not_limited(self, client, ann):
        for _ in range(4):
            log_in(client, "ann", "a wrong password", address="192.0.2.1")

        assert log_in(client, "ann", address="192.0.2.2").status_code == 200

    def test_the_classic_and_the_new_api_share_one_count(self, client, ann):
        for _ in range(3):
            log_in(client, "ann", "a wrong password")

        response = client.post("/login", {"username": "ann", "password": PASSWORD})

        assert response.status_code == 429

    def test_wrong_current_passwords_are_counted(self, client, ann):
        member = client.acting_as(ann)
        change = {"current_password": "a wrong password", "new_password": NEW_PASSWORD}
        for _ in range(3):
            assert member.put(f"{AUTH}/password", change).status_code == 422

        response = member.put(f"{AUTH}/password", {**change, "current_password": PASSWORD})

        assert response.status_code == 429

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, rate_limits=replace(base_settings.rate_limits, login=RateLimit(3, 60)))


class TestLogOut:
    def test_the_access_token_ends_at_once(self, client, ann):
        pair = log_in(client, "ann").json
        assert client.get(ME, headers=bearer(pair["access_token"])).status_code == 200

        response = client.post(f"{AUTH}/logout", headers=bearer(pair["access_token"]))

        assert (response.status_code, response.data) == (204, b"")
        assert client.get(ME, headers=bearer(pair["access_token"])).json["code"] == "session_ended"

    def test_the_refresh_token_ends_with_the_access_token(self, client, ann):
        pair = log_in(client, "ann").json

        client.post(f"{AUTH}/logout", headers=bearer(pair["access_token"]))

        assert client.post(f"{AUTH}/refresh", headers=bearer(pair["refresh_token"])).status_code == 401

    def test_another_session_of_the_user_goes_on(self, client, ann):
        this_session, other_session = log_in(client, "ann").json, log_in(client, "ann").json

        client.post(f"{AUTH}/logout", headers=bearer(this_session["access_token"]))

        assert client.get(ME, headers=bearer(other_session["access_token"])).status_code == 200


class TestMe:
    @pytest.mark.parametrize("role", list(Role))
    def test_shows_ones_own_account(self, client, factories, role):
        user = factories.User(role=role)

        response = client.acting_as(user).get(ME)

        assert response.status_code == 200
        assert (response.json["id"], response.json["username"], response.json["role"]) == (user.id, user.username, role)


class TestChangePassword:
    def test_only_the_new_password_logs_in(self, client, ann):
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

        response = client.acting_as(ann).put(f"{AUTH}/password", change)

        assert (response.status_code, response.data) == (204, b"")
        assert log_in(client, "ann").status_code == 401
        assert log_in(client, "ann", NEW_PASSWORD).status_code == 200

    def test_every_other_session_ends_at_once(self, client, ann):
        this_session, other_session = log_in(client, "ann").json, log_in(client, "ann").json
        for pair in (this_session, other_session):
            assert client.get(ME, headers=bearer(pair["access_token"])).status_code == 200
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

        client.put(f"{AUTH}/password", change, headers=bearer(this_session["access_token"]))

        assert client.get(ME, headers=bearer(this_session["access_token"])).status_code == 200
        assert client.get(ME, headers=bearer(other_session["access_token"])).json["code"] == "session_ended"
        assert client.post(f"{AUTH}/refresh", headers=bearer(other_session["refresh_token"])).status_code == 401

    def test_a_wrong_current_password_changes_nothing(self, client, ann):
        change = {"current_password": "a wrong password", "new_password": NEW_PASSWORD}

        response = client.acting_as(ann).put(f"{AUTH}/password", change)

        assert response.status_code == 422
        assert pointers_of(response) == ["/current_password"]
        assert log_in(client, "ann").status_code == 200

    @pytest.mark.parametrize("guessable", ["eleven-char", "ann@example.org", "ANN@EXAMPLE.ORG"])
    def test_a_guessable_password_is_refused(self, client, ann, guessable):
        change = {"current_password": PASSWORD, "new_password": guessable}

        response = client.acting_as(ann).put(f"{AUTH}/password", change)

        assert response.status_code == 422
        assert pointers_of(response) == ["/new_password"]
