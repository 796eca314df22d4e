"""/api/v1/events: one request that works, and each refusal. The rules are tested with the service."""

import pytest

EVENTS = "/api/v1/events"


class TestList:
    def test_the_feed_begins_now_and_goes_on(self, as_user, as_viewer):
        start = as_viewer.get(EVENTS).json
        task = as_user.post("/api/v1/tasks", {"title": "One"}).json

        page = as_viewer.get(EVENTS, query_string={"after": start["next_cursor"]}).json

        assert start["items"] == []
        assert page["has_more"] is False
        (event,) = page["items"]
        assert event == {
            "id": page["next_cursor"],
            "kind": "task.created",
            "occurred_at": task["updated_at"],
            "actor": task["creator"],
            "project": "GEN",
            "task": {"id": task["id"], "ref": task["ref"], "version": 1},
            "changed": None,
            "comment_id": None,
            "member": None,
            "count": None,
        }

    def test_a_cursor_of_another_database_is_gone(self, as_viewer):
        response = as_viewer.get(EVENTS, query_string={"after": "0123456789ab-7"})

        assert (response.status_code, response.json["code"]) == (410, "events_expired")

    @pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1_001}, {"after": "x" * 65}, {"before": "1"}])
    def test_a_wrong_parameter_is_refused(self, as_viewer, query):
        assert as_viewer.get(EVENTS, query_string=query).status_code == 422

    def test_strangers_are_refused(self, client):
        assert client.get(EVENTS).status_code == 401
