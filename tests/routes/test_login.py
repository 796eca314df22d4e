from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import jwt
import pytest

from app.auth.tokens import ISSUER
from app.models.people.user import Role
from app.settings import RateLimit
from tests.factories import PASSWORD

AUTH = "/api/v1/auth"
ME = f"{AUTH}/me"
NEW_PASSWORD = "tr0ub4dor and three"
UNVERIFIED = {"verify_signature": False}
NOBODYS_KEY = "a key of somebody else that is long enough"


class TestRegister:
    def test_makes_an_account_with_the_role_user(self, client):
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

    def test_the_answer_says_nothing_of_the_password(self, client):
        response = register(client)

        assert set(response.json) == {
            *("id", "username", "email", "role", "time_zone", "is_active", "created_at", "updated_at")
        }

    def test_a_role_cannot_be_asked_for(self, client):
        response = register(client, role="admin")

        assert response.status_code == 422
        assert pointers_of(response) == ["/role"]
        assert log_in(client, "ann").status_code == 401

    @pytest.mark.parametrize("taken", ["ann", "ANN", "Ann"])
    def test_a_taken_username_is_refused_however_it_is_capitalised(self, client, factories, taken):
        factories.User(username="Ann")

        response = register(client, username=taken)

        assert (response.status_code, response.json["code"]) == (409, "username_taken")

    def test_a_taken_address_is_refused_however_it_is_capitalised(self, client, factories):
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
            ("password", "short"),
            ("password", "p" * 129),
            ("password", "ann-of-accounts"),
            ("password", None),
        ],
    )
    def test_what_cannot_be_kept_is_refused_by_name(self, client, field, value):
        response = register(client, **{field: value})

        assert response.status_code == 422
        assert set(pointers_of(response)) == {f"/{field}"}

    class TestClosed:
        def test_registration_is_refused_where_the_operator_closed_it(self, client):
            response = register(client)

            assert (response.status_code, response.json["code"]) == (403, "registration_closed")

        @pytest.fixture
        def settings(self, base_settings):
            return replace(base_settings, self_registration_enabled=False)


class TestLogIn:
    @pytest.mark.parametrize("login", ["Ann", "ann", "ann@example.org", "ANN@Example.Org", "  ann "])
    def test_by_username_or_address_in_any_case(self, client, ann, login):
        response = log_in(client, login)

        assert response.status_code == 200
        assert response.json["token_type"] == "Bearer"
        assert response.json["expires_in"] == 15 * 60
        assert client.get(ME, headers=bearer(response.json["access_token"])).json["id"] == ann.id

    def test_tokens_are_kept_by_no_cache(self, client, ann):
        assert log_in(client, "ann").headers["Cache-Control"] == "no-store"

    def test_an_unknown_name_and_a_wrong_password_answer_alike(self, client, ann):
        same_id = {"X-Request-ID": "the-same"}

        wrong = client.post(f"{AUTH}/login", {"username": "ann", "password": "wrong password"}, headers=same_id)
        unknown = client.post(f"{AUTH}/login", {"username": "bob", "password": "wrong password"}, headers=same_id)

        assert (wrong.status_code, wrong.json["code"]) == (401, "wrong_credentials")
        assert (unknown.status_code, unknown.json) == (wrong.status_code, wrong.json)
        assert set(unknown.headers.keys()) == set(wrong.headers.keys())

    def test_a_deactivated_user_answers_like_a_wrong_password(self, client, factories, ann):
        same_id = {"X-Request-ID": "the-same"}
        factories.User(username="gone", is_active=False)

        wrong = client.post(f"{AUTH}/login", {"username": "ann", "password": "wrong password"}, headers=same_id)
        gone = client.post(f"{AUTH}/login", {"username": "gone", "password": PASSWORD}, headers=same_id)

        assert (gone.status_code, gone.json) == (wrong.status_code, wrong.json)

    def test_somebody_whom_an_import_named_has_no_password_to_guess(self, client, factories):
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
    def test_a_body_of_another_shape_is_refused(self, client, body, pointers):
        response = client.post(f"{AUTH}/login", body)

        assert response.status_code == 422
        assert sorted(pointers_of(response)) == pointers


class TestLogInLimits:
    def test_one_address_may_try_so_often_whatever_it_tries(self, client, ann):
        for guess in range(3):
            assert log_in(client, f"guess{guess}", "a wrong password").status_code == 401

        response = log_in(client, "ann")

        assert (response.status_code, response.json["code"]) == (429, "too_many_requests")

    def test_after_retry_after_it_may_again(self, client, ann, clock):
        for _ in range(3):
            log_in(client, "ann", "a wrong password")
        clock.advance(seconds=20)
        response = log_in(client, "ann")
        wait_seconds = int(response.headers["Retry-After"])
        assert 40 <= wait_seconds <= 41

        clock.advance(seconds=wait_seconds)

        assert log_in(client, "ann").status_code == 200

    def test_another_address_is_not_held_up(self, client, ann):
        for _ in range(4):
            log_in(client, "ann", "a wrong password", address="192.0.2.1")

        assert log_in(client, "ann", address="192.0.2.2").status_code == 200

    def test_the_table_and_its_successor_share_one_count(self, client, ann):
        for _ in range(3):
            log_in(client, "ann", "a wrong password")

        response = client.post("/login", {"username": "ann", "password": PASSWORD})

        assert response.status_code == 429

    def test_guessing_ones_current_password_is_counted_too(self, client, ann):
        member = client.acting_as(ann)
        change = {"current_password": "a wrong password", "new_password": NEW_PASSWORD}
        for _ in range(3):
            assert member.put(f"{AUTH}/password", change).status_code == 422

        response = member.put(f"{AUTH}/password", {**change, "current_password": PASSWORD})

        assert response.status_code == 429

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, rate_limits=replace(base_settings.rate_limits, login=RateLimit(3, 60)))


class TestRefresh:
    def test_gives_the_next_pair(self, client, ann):
        first = log_in(client, "ann").json

        response = client.post(f"{AUTH}/refresh", headers=bearer(first["refresh_token"]))

        assert response.status_code == 200
        assert response.json["refresh_token"] != first["refresh_token"]
        assert client.get(ME, headers=bearer(response.json["access_token"])).json["id"] == ann.id
        assert client.post(f"{AUTH}/refresh", headers=bearer(response.json["refresh_token"])).status_code == 200

    def test_two_refreshes_at_once_get_one_successor(self, client, ann):
        first = log_in(client, "ann").json

        answers = [client.post(f"{AUTH}/refresh", headers=bearer(first["refresh_token"])) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [200, 200]
        ids = {jwt.decode(answer.json["refresh_token"], options=UNVERIFIED)["rid"] for answer in answers}
        assert len(ids) == 1
        again = client.post(f"{AUTH}/refresh", headers=bearer(answers[1].json["refresh_token"]))
        assert again.status_code == 200

    def test_using_one_twice_ends_the_whole_family(self, client, ann, clock):
        first = log_in(client, "ann").json
        second = client.post(f"{AUTH}/refresh", headers=bearer(first["refresh_token"])).json
        clock.advance(seconds=10)

        reused = client.post(f"{AUTH}/refresh", headers=bearer(first["refresh_token"]))

        assert (reused.status_code, reused.json["code"]) == (401, "refresh_token_reused")
        for token in (first["access_token"], second["access_token"]):
            assert client.get(ME, headers=bearer(token)).json["code"] == "session_ended"
        next_of_family = client.post(f"{AUTH}/refresh", headers=bearer(second["refresh_token"]))
        assert (next_of_family.status_code, next_of_family.json["code"]) == (401, "session_ended")

    def test_another_log_in_of_the_same_user_goes_on(self, client, ann, clock):
        spent, other = log_in(client, "ann").json, log_in(client, "ann").json
        for _ in range(2):
            client.post(f"{AUTH}/refresh", headers=bearer(spent["refresh_token"]))
            clock.advance(seconds=10)

        assert client.get(ME, headers=bearer(other["access_token"])).status_code == 200

    def test_an_access_token_is_none(self, client, ann):
        response = client.post(f"{AUTH}/refresh", headers=bearer(log_in(client, "ann").json["access_token"]))

        assert (response.status_code, response.json["code"]) == (401, "token_invalid")

    def test_without_a_token_nothing_is_refreshed(self, client):
        response = client.post(f"{AUTH}/refresh")

        assert (response.status_code, response.json["code"]) == (401, "token_missing")

    def test_it_ends_with_its_session(self, client, ann, clock, base_settings):
        token = log_in(client, "ann").json["refresh_token"]
        clock.advance(days=base_settings.session_days, seconds=1)

        response = client.post(f"{AUTH}/refresh", headers=bearer(token))

        assert (response.status_code, response.json["code"]) == (401, "session_ended")

    def test_a_deactivated_user_gets_no_next_pair(self, client, ann, session):
        token = log_in(client, "ann").json["refresh_token"]
        session.refresh(ann)
        ann.is_active = False
        session.flush()

        response = client.post(f"{AUTH}/refresh", headers=bearer(token))

        assert (response.status_code, response.json["code"]) == (401, "session_ended")


class TestLogOut:
    def test_the_access_token_ends_at_once(self, client, ann):
        pair = log_in(client, "ann").json
        assert client.get(ME, headers=bearer(pair["access_token"])).status_code == 200

        response = client.post(f"{AUTH}/logout", headers=bearer(pair["access_token"]))

        assert (response.status_code, response.data) == (204, b"")
        assert client.get(ME, headers=bearer(pair["access_token"])).json["code"] == "session_ended"

    def test_the_refresh_token_ends_with_it(self, client, ann):
        pair = log_in(client, "ann").json

        client.post(f"{AUTH}/logout", headers=bearer(pair["access_token"]))

        assert client.post(f"{AUTH}/refresh", headers=bearer(pair["refresh_token"])).status_code == 401

    def test_another_session_of_the_user_goes_on(self, client, ann):
        here, there = log_in(client, "ann").json, log_in(client, "ann").json

        client.post(f"{AUTH}/logout", headers=bearer(here["access_token"]))

        assert client.get(ME, headers=bearer(there["access_token"])).status_code == 200


class TestMe:
    @pytest.mark.parametrize("role", list(Role))
    def test_says_who_one_is(self, client, factories, role):
        user = factories.User(role=role)

        response = client.acting_as(user).get(ME)

        assert response.status_code == 200
        assert (response.json["id"], response.json["username"], response.json["role"]) == (user.id, user.username, role)


class TestChangePassword:
    def test_the_new_one_counts_and_the_old_one_does_not(self, client, ann):
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

        response = client.acting_as(ann).put(f"{AUTH}/password", change)

        assert (response.status_code, response.data) == (204, b"")
        assert log_in(client, "ann").status_code == 401
        assert log_in(client, "ann", NEW_PASSWORD).status_code == 200

    def test_every_other_session_ends_at_once_and_this_one_goes_on(self, client, ann):
        here, there = log_in(client, "ann").json, log_in(client, "ann").json
        for pair in (here, there):
            assert client.get(ME, headers=bearer(pair["access_token"])).status_code == 200
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

        client.put(f"{AUTH}/password", change, headers=bearer(here["access_token"]))

        assert client.get(ME, headers=bearer(here["access_token"])).status_code == 200
        assert client.get(ME, headers=bearer(there["access_token"])).json["code"] == "session_ended"
        assert client.post(f"{AUTH}/refresh", headers=bearer(there["refresh_token"])).status_code == 401

    def test_without_the_current_one_nothing_changes(self, client, ann):
        change = {"current_password": "a wrong password", "new_password": NEW_PASSWORD}

        response = client.acting_as(ann).put(f"{AUTH}/password", change)

        assert response.status_code == 422
        assert pointers_of(response) == ["/current_password"]
        assert log_in(client, "ann").status_code == 200

    @pytest.mark.parametrize("guessable", ["short", "ann@example.org", "ANN@EXAMPLE.ORG"])
    def test_one_that_anybody_would_try_first_is_refused(self, client, ann, guessable):
        change = {"current_password": PASSWORD, "new_password": guessable}

        response = client.acting_as(ann).put(f"{AUTH}/password", change)

        assert response.status_code == 422
        assert pointers_of(response) == ["/new_password"]


class TestTokens:
    def test_without_one_nothing_is_shown(self, client):
        response = client.get(ME)

        assert (response.status_code, response.json["code"]) == (401, "token_missing")

    @pytest.mark.parametrize(
        "header",
        [
            "{good}",
            "Bearer",
            "Bearer ",
            "Basic {good}",
            "Bearer {good} and more",
            "Bearer garbage",
            "Bearer a.b.c",
            "Bearer \xe4.\xf6.\xfc",
            "Bearer {good}A",
            "Bearer {refresh}",
        ],
    )
    def test_a_header_without_an_access_token_of_ours_is_refused(self, client, token, header):
        response = client.get(ME, headers={"Authorization": header.format(good=token.good, refresh=token.refresh)})

        assert (response.status_code, response.json["code"]) == (401, "token_invalid")

    @pytest.mark.parametrize(
        "signing",
        [{"key": NOBODYS_KEY}, {"key": None, "algorithm": "none"}, {"algorithm": "HS512"}],
        ids=["another key", "no signature", "another algorithm"],
    )
    def test_a_token_that_we_did_not_sign_is_refused(self, client, token, signing):
        response = client.get(ME, headers=bearer(token.signed({}, **signing)))

        assert (response.status_code, response.json["code"]) == (401, "token_invalid")

    @pytest.mark.parametrize(
        ("claims", "code"),
        [
            ({"exp": 1}, "token_expired"),
            ({"exp": None}, "token_invalid"),
            ({"exp": "soon"}, "token_invalid"),
            ({"iss": "somebody else"}, "token_invalid"),
            ({"iss": None}, "token_invalid"),
            ({"aud": "somebody else"}, "token_invalid"),
            ({"aud": ["somebody else", ISSUER]}, "token_invalid"),
            ({"sub": "nobody"}, "token_invalid"),
            ({"sid": "not a uuid"}, "token_invalid"),
            ({"sid": 7}, "token_invalid"),
            ({"sub": "9" * 30}, "session_ended"),
            ({"sid": "00000000-0000-0000-0000-000000000000"}, "session_ended"),
        ],
    )
    def test_a_token_that_says_what_does_not_hold_is_refused(self, client, token, claims, code):
        response = client.get(ME, headers=bearer(token.signed(claims)))

        assert (response.status_code, response.json["code"]) == (401, code)

    def test_a_refresh_token_that_never_ends_is_refused(self, client, token):
        claims = jwt.decode(token.refresh, options=UNVERIFIED)

        response = client.post(f"{AUTH}/refresh", headers=bearer(token.signed({**claims, "exp": None})))

        assert (response.status_code, response.json["code"]) == (401, "token_invalid")

    def test_a_token_of_a_release_that_named_no_audience_is_good(self, client, token):
        assert client.get(ME, headers=bearer(token.signed({"aud": None}))).status_code == 200

    def test_a_session_is_good_for_its_own_user_only(self, client, token, factories):
        response = client.get(ME, headers=bearer(token.signed({"sub": str(factories.User(role=Role.ADMIN).id)})))

        assert (response.status_code, response.json["code"]) == (401, "session_ended")

    def test_a_good_one_is_what_the_bad_ones_differ_from(self, client, token):
        assert client.get(ME, headers=bearer(token.signed({}))).status_code == 200

    def test_a_deactivated_users_token_is_refused(self, client, factories):
        user = factories.User(is_active=False)

        response = client.acting_as(user).get(ME)

        assert (response.status_code, response.json["code"]) == (401, "session_ended")

    def test_a_token_ends_with_its_session(self, client, ann, clock):
        member = client.acting_as(ann)
        clock.advance(days=2)

        response = member.get(ME)

        assert (response.status_code, response.json["code"]) == (401, "session_ended")

    def test_a_token_in_the_query_or_a_cookie_is_none(self, client, token):
        response = client.get(f"{ME}?jwt={token.good}", headers={"Cookie": f"access_token_cookie={token.good}"})

        assert (response.status_code, response.json["code"]) == (401, "token_missing")

    @pytest.fixture
    def settings(self, base_settings):
        # As long as HS512 wants it, so that only the algorithm is wrong with a token signed by it.
        return replace(base_settings, jwt_secret_key=base_settings.jwt_secret_key * 2)


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


def log_in(client, login, password=PASSWORD, *, address="127.0.0.1"):
    body = {"username": login, "password": password}
    return client.post(f"{AUTH}/login", body, environ_overrides={"REMOTE_ADDR": address})


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def pointers_of(response):
    assert response.content_type == "application/problem+json"
    assert response.json["code"] == "invalid"
    return [problem["pointer"] for problem in response.json["errors"]]


@pytest.fixture
def ann(factories):
    return factories.User(username="Ann", email="ann@example.org")


@pytest.fixture
def token(client, ann, settings):
    """A good access token, and what is needed to make bad ones like it."""
    pair = log_in(client, "ann").json
    claims = jwt.decode(pair["access_token"], options=UNVERIFIED)
    assert claims["iss"] == ISSUER
    assert claims["exp"] < (datetime.now(UTC) + timedelta(minutes=16)).timestamp()

    def signed(changes, key=settings.jwt_secret_key, algorithm="HS256"):
        said = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jwt.encode(said, key, algorithm)

    return SimpleNamespace(
        good=pair["access_token"],
        refresh=pair["refresh_token"],
        signed=signed,
    )
