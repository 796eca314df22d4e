from dataclasses import replace

import pytest

from app.models.people.user import Role, User
from app.settings import RateLimit
from tests.factories import PASSWORD


class TestPublicRoutes:
    def test_the_welcome(self, client):
        response = client.get("/")

        assert (response.status_code, response.json) == (200, {"message": "Welcome to TaskTrackerPro!"})

    def test_the_ping(self, client):
        response = client.get("/ping")

        assert (response.status_code, response.json) == (200, {"message": "pong!"})


class TestLogIn:
    def test_returns_a_token_for_both_apis(self, client, factories):
        user = factories.User(username="john_doe")

        response = client.post("/login", {"username": "john_doe", "password": PASSWORD})

        assert response.status_code == 200
        assert set(response.json) == {"token"}
        bearer = {"Authorization": f"Bearer {response.json['token']}"}
        assert client.get("/activetasks", headers=bearer).status_code == 200
        assert client.get("/api/v1/auth/me", headers=bearer).json["id"] == user.id

    def test_a_wrong_password_is_a_401(self, client, factories):
        factories.User(username="john_doe")

        response = client.post("/login", {"username": "john_doe", "password": "wrong"})

        assert (response.status_code, response.json) == (401, {"error": "the username or password is wrong"})
        assert response.headers["WWW-Authenticate"].startswith("Bearer")

    def test_username_and_password_are_required(self, client):
        response = client.post("/login", {"username": "john_doe"})

        assert response.status_code == 422
        assert set(response.json) == {"error"}
        assert "password" in response.json["error"]


class TestLogInLimit:
    def test_the_sixth_log_in_of_a_minute_is_refused(self, client, factories, clock):
        factories.User(username="john_doe")
        for _ in range(5):
            assert client.post("/login", {"username": "john_doe", "password": "wrong"}).status_code == 401

        response = client.post("/login", {"username": "john_doe", "password": PASSWORD})

        assert response.status_code == 429
        assert set(response.json) == {"error"}
        assert 0 < int(response.headers["Retry-After"]) <= 61
        clock.advance(seconds=61)
        assert client.post("/login", {"username": "john_doe", "password": PASSWORD}).status_code == 200

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, rate_limits=replace(base_settings.rate_limits, login=RateLimit(5, 60)))


class TestCreateUser:
    def test_an_admin_creates_a_user_with_a_role(self, as_admin, session):
        new_user = {"username": "jane", "email": "jane@example.org", "password": PASSWORD, "role": "manager"}

        response = as_admin.post("/user", new_user)

        assert response.status_code == 201
        assert response.json == {"id": response.json["id"], "username": "jane"}
        assert session.get_one(User, response.json["id"]).role is Role.MANAGER

    def test_the_default_role_is_user(self, as_admin, session):
        response = as_admin.post("/user", {"username": "jane", "email": "jane@example.org", "password": PASSWORD})

        assert session.get_one(User, response.json["id"]).role is Role.USER

    @pytest.mark.parametrize(
        ("taken", "message"),
        [
            ({"username": "JANE"}, "the username is taken"),
            ({"email": "JANE@example.org"}, "the email address is taken"),
        ],
    )
    def test_a_taken_name_or_address_is_a_409(self, as_admin, factories, taken, message):
        factories.User(username="jane", email="jane@example.org")
        new_user = {"username": "new", "email": "new@example.org", "password": PASSWORD, "role": "user"}

        response = as_admin.post("/user", {**new_user, **taken})

        assert (response.status_code, response.json) == (409, {"error": message})

    def test_a_short_password_is_a_422(self, as_admin):
        new_user = {"username": "new", "email": "new@example.org", "password": "eleven-char", "role": "user"}

        response = as_admin.post("/user", new_user)

        assert (response.status_code, response.json) == (422, {"error": "password: must have at least 12 characters"})

    def test_an_unknown_role_is_a_422(self, as_admin):
        new_user = {"username": "new", "email": "new@example.org", "password": PASSWORD, "role": "owner"}

        response = as_admin.post("/user", new_user)

        assert response.status_code == 422
        assert "role" in response.json["error"]
