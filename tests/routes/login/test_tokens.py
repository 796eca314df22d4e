import base64
import json
from dataclasses import replace

import jwt
import pytest

from app.auth.tokens import ISSUER, key_id_of
from app.factory import create_app
from app.models.people.user import Role
from tests.client import Client
from tests.routes.login.auth_requests import AUTH, ME, UNVERIFIED, bearer, log_in

FOREIGN_KEY = "a key of somebody else that is long enough"
# HS512 needs keys of this length; a token that it signs has only the wrong algorithm.
KEY, PREVIOUS_KEY, NEXT_KEY = ("the present key of the tests " * 3, "the key before it " * 4, "the key after it " * 4)


class TestRefresh:
    def test_returns_the_next_pair(self, client, ann):
        first = log_in(client, "ann").json

        response = client.post(f"{AUTH}/refresh", headers=bearer(first["refresh_token"]))

        assert response.status_code == 200
        assert response.json["refresh_token"] != first["refresh_token"]
        assert client.get(ME, headers=bearer(response.json["access_token"])).json["id"] == ann.id
        assert client.post(f"{AUTH}/refresh", headers=bearer(response.json["refresh_token"])).status_code == 200

    def test_two_refreshes_at_once_get_the_same_pair(self, client, ann):
        first = log_in(client, "ann").json

        answers = [client.post(f"{AUTH}/refresh", headers=bearer(first["refresh_token"])) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [200, 200]
        ids = {jwt.decode(answer.json["refresh_token"], options=UNVERIFIED)["rid"] for answer in answers}
        assert len(ids) == 1
        again = client.post(f"{AUTH}/refresh", headers=bearer(answers[1].json["refresh_token"]))
        assert again.status_code == 200

    def test_a_reused_token_ends_the_whole_family(self, client, ann, clock):
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

    def test_an_access_token_is_not_a_refresh_token(self, client, ann):
        response = client.post(f"{AUTH}/refresh", headers=bearer(log_in(client, "ann").json["access_token"]))

        assert (response.status_code, response.json["code"]) == (401, "token_invalid")

    def test_without_a_token_nothing_is_refreshed(self, client):
        response = client.post(f"{AUTH}/refresh")

        assert (response.status_code, response.json["code"]) == (401, "token_missing")

    def test_ends_with_its_session(self, client, ann, clock, base_settings):
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


class TestTokens:
    def test_a_missing_token_is_refused(self, client):
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
    def test_a_header_without_a_valid_access_token_is_refused(self, client, token, header):
        response = client.get(ME, headers={"Authorization": header.format(good=token.good, refresh=token.refresh)})

        assert (response.status_code, response.json["code"]) == (401, "token_invalid")

    @pytest.mark.parametrize(
        "signing",
        [
            {"key": FOREIGN_KEY},
            {"key": FOREIGN_KEY, "key_id": None},
            {"key": FOREIGN_KEY, "key_id": key_id_of(FOREIGN_KEY)},
            {"key": FOREIGN_KEY, "key_id": key_id_of(PREVIOUS_KEY)},
            {"key_id": key_id_of(PREVIOUS_KEY)},
            {"key": PREVIOUS_KEY},
            {"key": PREVIOUS_KEY, "key_id": None},
            {"key_id": "unknown"},
            {"key_id": ""},
            {"key_id": "../../dev/null"},
            {"key": None, "algorithm": "none"},
            {"key": None, "algorithm": "none", "key_id": None},
            {"algorithm": "HS512"},
            {"key": PREVIOUS_KEY, "key_id": key_id_of(PREVIOUS_KEY), "algorithm": "HS384"},
        ],
        ids=str,
    )
    @pytest.mark.filterwarnings("ignore:The HMAC key is")
    def test_a_token_that_we_did_not_sign_is_refused(self, client, token, signing):
        response = client.get(ME, headers=bearer(token.signed({}, **signing)))

        assert (response.status_code, response.json["code"]) == (401, "token_invalid")

    @pytest.mark.parametrize("key_id", [7, ["a"], {"a": 1}, None])
    def test_a_key_id_that_is_no_text_is_refused(self, client, token, key_id):
        _header, *rest = token.good.split(".")
        header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": key_id}).encode())

        response = client.get(ME, headers=bearer(".".join((header.decode().rstrip("="), *rest))))

        assert (response.status_code, response.json["code"]) == (401, "token_invalid")

    @pytest.mark.parametrize(
        ("claims", "code"),
        [
            ({"exp": 1}, "token_expired"),
            ({"exp": None}, "token_invalid"),
            ({"exp": "soon"}, "token_invalid"),
            ({"iss": "somebody else"}, "token_invalid"),
            ({"iss": None}, "token_invalid"),
            ({"aud": None}, "token_invalid"),
            ({"aud": "somebody else"}, "token_invalid"),
            ({"aud": [ISSUER]}, "token_invalid"),
            ({"type": None}, "token_invalid"),
            ({"type": "refresh"}, "token_invalid"),
            ({"type": ["access"]}, "token_invalid"),
            ({"aud": ["somebody else", ISSUER]}, "token_invalid"),
            ({"sub": "nobody"}, "token_invalid"),
            ({"sid": "not a uuid"}, "token_invalid"),
            ({"sid": 7}, "token_invalid"),
            ({"sub": "9" * 30}, "session_ended"),
            ({"sid": "00000000-0000-0000-0000-000000000000"}, "session_ended"),
        ],
    )
    def test_a_token_with_a_wrong_claim_is_refused(self, client, token, claims, code):
        response = client.get(ME, headers=bearer(token.signed(claims)))

        assert (response.status_code, response.json["code"]) == (401, code)

    def test_a_refresh_token_that_never_ends_is_refused(self, client, token):
        claims = jwt.decode(token.refresh, options=UNVERIFIED)

        response = client.post(f"{AUTH}/refresh", headers=bearer(token.signed({**claims, "exp": None})))

        assert (response.status_code, response.json["code"]) == (401, "token_invalid")

    @pytest.mark.parametrize("changes", [{}, {"aud": None}])
    def test_a_token_of_a_release_without_key_ids_and_audiences_is_accepted(self, client, token, changes):
        assert client.get(ME, headers=bearer(token.signed(changes, key_id=None))).status_code == 200

    def test_the_audience_of_a_token_without_a_key_id_is_checked(self, client, token):
        response = client.get(ME, headers=bearer(token.signed({"aud": "somebody else"}, key_id=None)))

        assert (response.status_code, response.json["code"]) == (401, "token_invalid")

    def test_a_session_is_valid_only_for_its_own_user(self, client, token, factories):
        response = client.get(ME, headers=bearer(token.signed({"sub": str(factories.User(role=Role.ADMIN).id)})))

        assert (response.status_code, response.json["code"]) == (401, "session_ended")

    def test_the_unchanged_token_is_accepted(self, client, token):
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

    def test_a_token_in_the_query_or_in_a_cookie_is_ignored(self, client, token):
        response = client.get(f"{ME}?jwt={token.good}", headers={"Cookie": f"access_token_cookie={token.good}"})

        assert (response.status_code, response.json["code"]) == (401, "token_missing")

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, jwt_secret_key=KEY, jwt_previous_secret_keys=(PREVIOUS_KEY,))


class TestRotation:
    def test_a_new_token_names_the_present_key(self, client, ann):
        pair = log_in(client, "ann").json

        for token in (pair["access_token"], pair["refresh_token"]):
            assert jwt.get_unverified_header(token)["kid"] == key_id_of(KEY)

    def test_the_id_of_a_key_does_not_contain_the_key(self):
        assert key_id_of(KEY) != key_id_of(PREVIOUS_KEY)
        assert len(key_id_of(KEY)) == 16

    def test_a_log_in_survives_the_rotation_and_goes_on_with_the_next_key(self, client, ann, rotated):
        pair = log_in(client, "ann").json

        after = rotated()

        assert after.get(ME, headers=bearer(pair["access_token"])).status_code == 200
        refreshed = after.post(f"{AUTH}/refresh", headers=bearer(pair["refresh_token"]))
        assert refreshed.status_code == 200
        assert jwt.get_unverified_header(refreshed.json["refresh_token"])["kid"] == key_id_of(NEXT_KEY)

    def test_a_log_in_ends_with_the_key_that_signed_it(self, client, ann, rotated):
        pair = log_in(client, "ann").json

        after = rotated(keep=())

        assert after.get(ME, headers=bearer(pair["access_token"])).json["code"] == "token_invalid"
        assert after.post(f"{AUTH}/refresh", headers=bearer(pair["refresh_token"])).json["code"] == "token_invalid"

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, jwt_secret_key=KEY)

    @pytest.fixture
    def rotated(self, settings, resources):
        """A client of an api with the next key, which still knows the keys in `keep`."""

        def make(keep=(KEY,)):
            changed = replace(settings, jwt_secret_key=NEXT_KEY, jwt_previous_secret_keys=keep)
            return Client(create_app(changed, resources=resources))

        return make
