"""The routes of API tokens, and what tokens are refused."""

import hashlib

import jwt
import pytest

from app.auth.api_tokens import ALPHABET, RANDOM_LENGTH, checksum_of, new_token
from app.models.login.api_token import TokenScope
from app.models.people.user import Role
from tests.routes.login.auth_requests import AUTH, ME, bearer, log_in, pointers_of

TOKENS = f"{AUTH}/tokens"
USERS = "/api/v1/users"
REPORT = {"name": "Report", "scopes": ["tasks:read"]}
FIELDS = {"id", "owner_id", "name", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at"}
KNOWN_RANDOM = "k" * RANDOM_LENGTH
# Well-formed tokens that nobody made, and texts that only look like tokens.
INVENTED = {f"invented {number}": new_token for number in range(6)}
MALFORMED = {
    "empty": "ttp_",
    "prefix alone, twice": "ttp_ttp_",
    "only zeros": "ttp_" + "0" * 39,
    "wrong checksum": f"ttp_{KNOWN_RANDOM}000000",
    "checksum of another token": f"ttp_{KNOWN_RANDOM}{checksum_of('j' * RANDOM_LENGTH)}",
    "checksum in lower case": f"ttp_{KNOWN_RANDOM}{checksum_of(KNOWN_RANDOM)}".lower(),
    "checksum in upper case": f"ttp_{KNOWN_RANDOM}{checksum_of(KNOWN_RANDOM)}".upper(),
    "no checksum": f"ttp_{KNOWN_RANDOM}",
    "checksum first": f"ttp_{checksum_of(KNOWN_RANDOM)}{KNOWN_RANDOM}",
    "too long": f"ttp_{KNOWN_RANDOM}k{checksum_of(KNOWN_RANDOM + 'k')}",
    "too short": f"ttp_{KNOWN_RANDOM[1:]}{checksum_of(KNOWN_RANDOM[1:])}",
    "very long": "ttp_" + "k" * 5000,
    "hexadecimal": "ttp_" + hashlib.sha256(b"guess").hexdigest(),
    "base64 of urls": f"ttp_{'-_' * 16}k{checksum_of('-_' * 16 + 'k')}",
    "base64": f"ttp_{'+/' * 16}={checksum_of('+/' * 16 + '=')}",
    "cyrillic": "ttp_" + "\xd0\xb0" * 16 + "k" + "000000",
    "latin 1": "ttp_" + "\xe4" * RANDOM_LENGTH + "000000",
    "percent": "ttp_" + "%20" * 13,
    "wild cards": "ttp_" + "%" * 39,
    "sql": "ttp_' OR '1'='1",
    "nul": "ttp_" + "k" * 20 + "\x00" + "k" * 18,
    "prefix of github": f"ghp_{KNOWN_RANDOM}{checksum_of(KNOWN_RANDOM)}",
    "no prefix": f"{KNOWN_RANDOM}{checksum_of(KNOWN_RANDOM)}",
    "prefix in capitals": f"TTP_{KNOWN_RANDOM}{checksum_of(KNOWN_RANDOM)}",
    "prefix with a hyphen": f"ttp-{KNOWN_RANDOM}{checksum_of(KNOWN_RANDOM)}",
    "jwt behind the prefix": "ttp_" + jwt.encode({"sub": "1"}, "k" * 32),
    "jwt without a signature": jwt.encode({"sub": "1"}, None, "none"),
}


class TestForgedTokens:
    def test_are_all_refused_with_the_same_answer(self, client, forged):
        answers = {
            name: client.get(ME, headers={**bearer(token), "X-Request-ID": "the-same"})
            for name, token in forged.items()
        }

        assert len(answers) >= 40
        assert {name for name, answer in answers.items() if answer.status_code != 401} == set()
        assert len({answer.data for answer in answers.values()}) == 1
        assert {answer.headers["WWW-Authenticate"] for answer in answers.values()} == {'Bearer realm="tasktrackerpro"'}
        assert answers["revoked"].json["code"] == "token_invalid"

    def test_the_real_token_among_them_is_accepted(self, client, real_token, ann):
        assert client.get(ME, headers=bearer(real_token)).json["id"] == ann.id

    @pytest.mark.parametrize("header", ["Token {}", "Basic {}", "{}", "Bearer{}", "Bearer {} {}", "Bearer"])
    def test_a_token_is_accepted_only_as_a_bearer_token(self, client, real_token, header):
        answer = client.get(ME, headers={"Authorization": header.format(real_token, real_token)})

        assert (answer.status_code, answer.json["code"]) == (401, "token_invalid")

    def test_the_scheme_may_be_in_any_case(self, client, real_token):
        assert client.get(ME, headers={"Authorization": f"bEARER {real_token}"}).status_code == 200

    def test_a_token_elsewhere_is_ignored(self, client, real_token):
        answer = client.get(f"{ME}?token={real_token}", headers={"Cookie": f"token={real_token}"})

        assert (answer.status_code, answer.json["code"]) == (401, "token_missing")

    def test_an_api_token_is_no_refresh_token(self, client, real_token):
        answer = client.post(f"{AUTH}/refresh", headers=bearer(real_token))

        assert (answer.status_code, answer.json["code"]) == (401, "token_invalid")


class TestCreate:
    def test_the_answer_shows_the_token_once(self, client, ann):
        response = client.acting_as(ann).post(TOKENS, REPORT)

        assert response.status_code == 201
        assert set(response.json) == FIELDS | {"token"}
        assert response.headers["Cache-Control"] == "no-store"
        assert client.get(ME, headers=bearer(response.json["token"])).json["id"] == ann.id
        listed = client.acting_as(ann).get(TOKENS)
        assert set(listed.json["items"][0]) == FIELDS
        assert response.json["token"] not in listed.text

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"name": ""}, "/name"),
            ({"name": "  "}, "/name"),
            ({"name": "n" * 101}, "/name"),
            ({"name": "nul\x00"}, "/name"),
            ({"name": None}, "/name"),
            ({"scopes": []}, "/scopes"),
            ({"scopes": None}, "/scopes"),
            ({"scopes": "tasks:read"}, "/scopes"),
            ({"scopes": ["everything"]}, "/scopes/0"),
            ({"scopes": ["tasks:read", None]}, "/scopes/1"),
            ({"scopes": ["tasks:read"] * 6}, "/scopes"),
            ({"expires_at": "soon"}, "/expires_at"),
            ({"expires_at": "2001-01-01"}, "/expires_at"),
            ({"expires_at": "2101-01-01"}, "/expires_at"),
            ({"owner_id": 1}, "/owner_id"),
            ({"token": "ttp_chosen"}, "/token"),
        ],
    )
    def test_an_invalid_value_is_refused_by_name(self, client, ann, change, pointer):
        response = client.acting_as(ann).post(TOKENS, {**REPORT, **change})

        assert response.status_code == 422
        assert pointers_of(response) == [pointer]

    def test_the_token_after_the_last_one_is_a_409(self, client, ann, factories):
        for _ in range(50):
            factories.ApiToken(owner_id=ann.id)

        response = client.acting_as(ann).post(TOKENS, REPORT)

        assert (response.status_code, response.json["code"]) == (409, "too_many_tokens")


class TestRevoke:
    def test_the_next_request_is_refused(self, client, ann):
        made = client.acting_as(ann).post(TOKENS, REPORT).json
        assert client.get(ME, headers=bearer(made["token"])).status_code == 200

        response = client.acting_as(ann).delete(f"{TOKENS}/{made['id']}")

        assert (response.status_code, response.data) == (204, b"")
        assert client.get(ME, headers=bearer(made["token"])).status_code == 401

    def test_a_token_of_another_user_is_answered_like_a_missing_one(self, client, ann, factories):
        other = factories.ApiToken(owner_id=factories.User().id)

        answers = [client.acting_as(ann).delete(f"{TOKENS}/{number}") for number in (other.id, 999_999_999)]

        assert [answer.status_code for answer in answers] == [404, 404]


class TestTokensOfOthers:
    def test_an_admin_sees_and_revokes_them(self, client, admin, ann):
        made = client.acting_as(ann).post(TOKENS, REPORT).json
        as_admin = client.acting_as(admin)

        (listed,) = as_admin.get(f"{USERS}/{ann.id}/tokens").json["items"]
        revoked = as_admin.delete(f"{USERS}/{ann.id}/tokens/{made['id']}")

        assert listed["id"] == made["id"]
        assert revoked.status_code == 204
        assert client.get(ME, headers=bearer(made["token"])).status_code == 401

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_nobody_else_does(self, client, ann, factories, role):
        asking, token = client.acting_as(factories.User(role=role)), factories.ApiToken(owner_id=ann.id)

        for path in (f"{USERS}/{ann.id}/tokens", f"{USERS}/999999999/tokens"):
            assert asking.get(path).status_code == 403
            assert asking.post(path, REPORT).status_code == 403
        assert asking.delete(f"{USERS}/{ann.id}/tokens/{token.id}").status_code == 403

    def test_an_unknown_user_is_a_404(self, client, admin):
        as_admin = client.acting_as(admin)

        assert as_admin.get(f"{USERS}/999999999/tokens").status_code == 404
        assert as_admin.post(f"{USERS}/999999999/tokens", REPORT).status_code == 404
        assert as_admin.delete(f"{USERS}/999999999/tokens/1").status_code == 404

    def test_an_admin_makes_none_for_another_person(self, client, admin, ann):
        response = client.acting_as(admin).post(f"{USERS}/{ann.id}/tokens", REPORT)

        assert (response.status_code, response.json["code"]) == (409, "not_a_service_account")


class TestServiceAccount:
    def test_works_with_a_token_that_an_admin_made(self, client, admin):
        as_admin = client.acting_as(admin)
        robot = as_admin.post(f"{USERS}/service-accounts", {"username": "robot", "role": "user"})
        token = as_admin.post(f"{USERS}/{robot.json['id']}/tokens", {**REPORT, "scopes": ["tasks:write"]}).json["token"]

        created = client.post("/api/v1/tasks", {"title": "By a script"}, headers=bearer(token))

        assert robot.status_code == 201
        assert (created.status_code, created.json["creator"]) == (201, "robot")

    def test_is_answered_like_an_unknown_name_at_a_log_in(self, client, factories):
        factories.ServiceAccount(username="robot")
        same_id = {"X-Request-ID": "the-same"}

        answers = [
            client.post(f"{AUTH}/login", {"username": name, "password": "guess"}, headers=same_id)
            for name in ("robot", "nobody")
        ]

        assert [answer.status_code for answer in answers] == [401, 401]
        assert answers[0].json == answers[1].json

    @pytest.mark.parametrize("change", [{"password": "a brand new password"}, {"email": "robot@example.org"}])
    def test_takes_neither_password_nor_address(self, client, admin, change):
        response = client.acting_as(admin).post(
            f"{USERS}/service-accounts", {"username": "robot", "role": "user", **change}
        )

        assert response.status_code == 422
        assert pointers_of(response) == [f"/{next(iter(change))}"]


class TestScopes:
    def test_a_missing_scope_is_a_403_that_names_it(self, client, ann):
        response = client.with_api_token_of(ann, TokenScope.TASKS_READ).post("/api/v1/tasks", {"title": "One"})

        assert (response.status_code, response.json["code"]) == (403, "insufficient_scope")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="tasktrackerpro", error="insufficient_scope"'
        assert "it needs the scope tasks:write" in response.json["detail"]

    def test_a_token_that_reads_tasks_does_not_see_deleted_ones_of_its_owner(self, client, admin, factories, clock):
        task = factories.Task(title="Deleted", deleted_at=clock())
        as_admin, token = client.acting_as(admin), client.with_api_token_of(admin, TokenScope.TASKS_READ)

        # The admin looks first: what the cache keeps for the admin must not reach the token.
        assert as_admin.get("/api/v1/tasks?deleted=true").json["items"]
        assert as_admin.get(f"/api/v1/tasks/{task.id}").status_code == 200

        assert token.get("/api/v1/tasks?deleted=true").status_code == 403
        assert token.get(f"/api/v1/tasks/{task.id}").status_code == 404

    def test_a_token_with_every_scope_logs_nobody_out(self, client, ann):
        pair = log_in(client, "ann").json

        for method, path, body in (
            ("POST", f"{AUTH}/logout", None),
            ("PUT", f"{AUTH}/password", {"current_password": "x", "new_password": "a brand new password"}),
            ("GET", TOKENS, None),
        ):
            response = client.with_api_token_of(ann).request(method, path, json=body)
            assert (response.status_code, response.json["code"]) == (403, "insufficient_scope")
        assert client.get(ME, headers=bearer(pair["access_token"])).status_code == 200


@pytest.fixture
def real_token(ann, factories):
    token = new_token()
    factories.ApiToken(owner_id=ann.id, token=token)
    return token


@pytest.fixture
def forged(client, real_token, ann, factories, clock):
    """Tokens that once were valid, tokens that nobody made, and texts that are no tokens."""

    def made(owner, **values):
        token = new_token()
        factories.ApiToken(owner_id=owner.id, token=token, **values)
        return token

    position = real_token.index("_") + 5
    other = next(letter for letter in ALPHABET if letter != real_token[position])
    return {
        "revoked": made(ann, revoked_at=clock()),
        "expired": made(ann, expires_at=clock()),
        "of an inactive owner": made(factories.User(is_active=False)),
        "of an inactive service account": made(factories.ServiceAccount(is_active=False)),
        "mistyped": real_token[:position] + other + real_token[position + 1 :],
        "without its last character": real_token[:-1],
        "without its first random character": "ttp_" + real_token[5:],
        "with a character more": real_token + "0",
        "in lower case": real_token.lower() if real_token.lower() != real_token else real_token.upper(),
        "its digest": hashlib.sha256(real_token.encode()).hexdigest(),
        "its digest behind the prefix": "ttp_" + hashlib.sha256(real_token.encode()).hexdigest(),
        **{name: make() for name, make in INVENTED.items()},
        **MALFORMED,
    }
