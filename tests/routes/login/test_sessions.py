import pytest

from app.models.people.user import Role
from tests.routes.login.auth_requests import AUTH, ME, bearer, log_in

SESSIONS = f"{AUTH}/sessions"
UNKNOWN = "0e7a9b8a-6f3c-4b57-9d0a-3a2f1c5d7e90"


class TestList:
    def test_shows_each_open_session_and_which_one_asks(self, client, ann, clock):
        first = log_in(client, "ann").json
        clock.advance(minutes=5)
        second = log_in(client, "ann").json
        client.post(f"{AUTH}/refresh", headers=bearer(first["refresh_token"]))

        items = client.get(SESSIONS, headers=bearer(second["access_token"])).json["items"]

        assert [item["is_current"] for item in items] == [True, False]
        assert [item["last_refreshed_at"] is None for item in items] == [True, False]
        assert items[0]["expires_at"] > items[1]["expires_at"]

    def test_leaves_out_ended_and_expired_ones_and_those_of_others(self, client, ann, factories, clock, settings):
        log_in(client, "ann")
        clock.advance(days=settings.session_days)
        ended = log_in(client, "ann").json
        client.post(f"{AUTH}/logout", headers=bearer(ended["access_token"]))
        client.acting_as(factories.User(role=Role.ADMIN)).get(ME)
        current = log_in(client, "ann").json

        items = client.get(SESSIONS, headers=bearer(current["access_token"])).json["items"]

        assert [item["is_current"] for item in items] == [True]


class TestEnd:
    def test_its_tokens_are_refused_from_then_on(self, client, ann):
        suspicious, current = log_in(client, "ann").json, log_in(client, "ann").json
        assert client.get(ME, headers=bearer(suspicious["access_token"])).status_code == 200
        items = client.get(SESSIONS, headers=bearer(current["access_token"])).json["items"]
        (other,) = [item["id"] for item in items if not item["is_current"]]

        response = client.delete(f"{SESSIONS}/{other}", headers=bearer(current["access_token"]))

        assert (response.status_code, response.data) == (204, b"")
        assert client.get(ME, headers=bearer(suspicious["access_token"])).json["code"] == "session_ended"
        assert client.post(f"{AUTH}/refresh", headers=bearer(suspicious["refresh_token"])).status_code == 401
        assert client.get(ME, headers=bearer(current["access_token"])).status_code == 200

    def test_a_session_of_somebody_else_is_unknown_even_to_an_admin(self, client, ann, factories, session):
        theirs = factories.LoginSession(user_id=ann.id)
        admin = client.acting_as(factories.User(role=Role.ADMIN))

        assert admin.delete(f"{SESSIONS}/{theirs.id}").status_code == 404
        session.refresh(theirs)
        assert theirs.ended_at is None

    @pytest.mark.parametrize("session_id", [UNKNOWN, "not-an-id", "1"])
    def test_an_unknown_one_is_a_404(self, client, ann, session_id):
        assert client.acting_as(ann).delete(f"{SESSIONS}/{session_id}").status_code == 404

    def test_an_ended_one_is_a_404(self, client, ann, factories, clock):
        ended = factories.LoginSession(user_id=ann.id, ended_at=clock.now)

        assert client.acting_as(ann).delete(f"{SESSIONS}/{ended.id}").status_code == 404


class TestEndAll:
    def test_no_token_of_the_user_is_accepted_any_more(self, client, ann):
        pairs = [log_in(client, "ann").json for _ in range(3)]

        response = client.delete(SESSIONS, headers=bearer(pairs[0]["access_token"]))

        assert (response.status_code, response.data) == (204, b"")
        for pair in pairs:
            assert client.get(ME, headers=bearer(pair["access_token"])).json["code"] == "session_ended"
            assert client.post(f"{AUTH}/refresh", headers=bearer(pair["refresh_token"])).status_code == 401

    def test_others_stay_logged_in(self, client, ann, factories):
        other = client.acting_as(factories.User())

        client.acting_as(ann).delete(SESSIONS)

        assert other.get(ME).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("DELETE", f"/{UNKNOWN}")])
def test_nobody_may_without_a_token(client, method, path):
    assert client.request(method, f"{SESSIONS}{path}").status_code == 401
