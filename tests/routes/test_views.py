"""/api/v1/views: one request that works, and each refusal. The rules are tested with the service."""

import pytest

from app.models.login.api_token import TokenScope
from app.models.people.user import Role

VIEWS = "/api/v1/views"
TASKS = "/api/v1/tasks"
FIELDS = {
    "id",
    "name",
    "query",
    "layout",
    "visibility",
    "project",
    "owner",
    "created_at",
    "updated_at",
    "version",
}


class TestCreate:
    def test_makes_a_private_list_by_default(self, as_viewer, viewer):
        response = as_viewer.post(VIEWS, {"name": " Mine "})

        assert response.status_code == 201
        assert set(response.json) == FIELDS
        expected = ("Mine", {}, "list", "private", None, viewer.username)
        assert (
            tuple(response.json[name] for name in ("name", "query", "layout", "visibility", "project", "owner"))
            == expected
        )
        assert response.headers["Location"] == f"{VIEWS}/{response.json['id']}"

    def test_the_same_request_with_a_key_makes_one(self, as_user):
        first, second = (
            as_user.post(VIEWS, {"name": "Mine"}, headers={"Idempotency-Key": "once"}).json["id"] for _ in range(2)
        )

        assert first == second

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/name"),
            ({"name": ""}, "/name"),
            ({"name": "x" * 101}, "/name"),
            ({"name": "A", "layout": "table"}, "/layout"),
            ({"name": "A", "visibility": "nobody"}, "/visibility"),
            ({"name": "A", "visibility": "project"}, "/project"),
            ({"name": "A", "visibility": "project", "project": "NOWHERE"}, "/project"),
            ({"name": "A", "owner": "admin"}, "/owner"),
            ({"name": "A", "query": []}, "/query"),
            ({"name": "A", "query": {"colour": "red"}}, "/query/colour"),
            ({"name": "A", "query": {"status": "asleep"}}, "/query/status/0"),
            ({"name": "A", "query": {"status": ["todo"]}}, "/query/status"),
            ({"name": "A", "query": {"sort": "-colour"}}, "/query/sort/0"),
            ({"name": "A", "query": {"as_of": "2026-03-10"}}, "/query/as_of"),
            ({"name": "A", "query": {"cursor": "x"}}, "/query/cursor"),
            ({"name": "A", "query": {"limit": "5"}}, "/query/limit"),
            ({"name": "A", "query": {"view": "1"}}, "/query/view"),
            ({"name": "A", "query": {"q": "\x00"}}, "/query/q"),
            ({"name": "A", "query": {"status": "todo" + " " * 2_000}}, "/query/status"),
            ({"name": "A", "query": {"overdue": 2}}, "/query/overdue"),
            ({"name": "A", "query": {"fields": "id", "expand": "assignee"}}, "/query/expand"),
        ],
    )
    def test_invalid_input_is_a_422_that_names_the_field(self, as_user, body, pointer):
        response = as_user.post(VIEWS, body)

        assert response.status_code == 422
        assert pointer in [each["pointer"] for each in response.json["errors"]]

    def test_a_user_does_not_share_with_everyone(self, as_user):
        assert as_user.post(VIEWS, {"name": "A", "visibility": "everyone"}).status_code == 403


class TestShow:
    def test_a_client_with_this_version_gets_no_body(self, as_user, view):
        etag = as_user.get(view).headers["ETag"]

        assert as_user.get(view, headers={"If-None-Match": etag}).status_code == 304

    @pytest.mark.parametrize("path", [f"{VIEWS}/999999", f"{VIEWS}/{10**30}", f"{VIEWS}/mine"])
    def test_an_unknown_view_is_a_404(self, as_user, path):
        assert as_user.get(path).status_code == 404


class TestChange:
    def test_sets_what_is_sent(self, as_user, view):
        changed = as_user.patch(view, {"query": {"assignee": "me"}, "layout": "board"}).json

        assert (changed["name"], changed["query"], changed["layout"]) == ("Mine", {"assignee": "me"}, "board")
        assert changed["version"] == 2

    def test_an_outdated_precondition_is_a_412(self, as_user, view):
        headers = {"If-Match": as_user.get(view).headers["ETag"]}

        assert as_user.patch(view, {"name": "Two"}, headers=headers).status_code == 200
        assert as_user.patch(view, {"name": "Three"}, headers=headers).status_code == 412
        assert as_user.delete(view, headers=headers).status_code == 412

    def test_nothing_to_change_is_a_422(self, as_user, view):
        assert as_user.patch(view, {}).status_code == 422


class TestDelete:
    def test_is_for_good(self, as_user, view):
        assert as_user.delete(view).status_code == 204
        assert as_user.get(view).status_code == 404


class TestPins:
    def test_are_shown_by_lists(self, as_user, view):
        assert as_user.request("PUT", f"{view}/pin").status_code == 204
        (item,) = as_user.get(f"{VIEWS}?pinned=true").json["items"]
        assert set(item) == {*FIELDS, "pinned_position"}

        assert as_user.delete(f"{view}/pin").status_code == 204
        assert as_user.get(VIEWS).json["items"][0]["pinned_position"] is None

    @pytest.mark.parametrize("views", [None, [999_999], ["1"], [0], [1, 1], list(range(1, 52))])
    def test_invalid_ones_are_a_422(self, as_user, views):
        assert as_user.request("PUT", f"{VIEWS}/pins", json={"views": views}).status_code == 422


class TestOpen:
    def test_applies_the_view_in_lists_and_exports(self, as_user, factories):
        for status in ("todo", "done"):
            factories.Task(title=status, status=status)
        view_id = as_user.post(VIEWS, {"name": "Open", "query": {"status": "todo", "fields": "title"}}).json["id"]

        assert as_user.get(f"{TASKS}?view={view_id}").json["items"] == [{"title": "todo"}]
        assert as_user.get(f"{TASKS}?view={view_id}&status=done").json["items"] == [{"title": "done"}]
        export = as_user.get(f"{TASKS}/export?view={view_id}").text
        assert ("todo" in export, ",done," in export) == (True, False)

    def test_pages_keep_the_view(self, as_user, factories):
        for _ in range(3):
            factories.Task()
        view_id = as_user.post(VIEWS, {"name": "Mine", "query": {"sort": "id"}}).json["id"]
        link = as_user.get(f"{TASKS}?view={view_id}&limit=2").headers["Link"].partition(">")[0].removeprefix("<")

        assert len(as_user.get(link).json["items"]) == 1

    @pytest.mark.parametrize("view_id", ["999999", "0", "-1", "x", str(2**63)])
    @pytest.mark.parametrize("path", [TASKS, f"{TASKS}/export"])
    def test_one_that_cannot_be_seen_is_a_422(self, as_user, path, view_id):
        response = as_user.get(f"{path}?view={view_id}")

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/view")

    def test_a_token_that_reads_tasks_opens_views(self, client, user, view):
        from_script = client.with_api_token_of(user, TokenScope.TASKS_READ)

        assert from_script.get(f"{TASKS}?view={view.rpartition('/')[2]}").status_code == 200


@pytest.fixture
def view(as_user):
    """The path of a view of the user."""
    return f"{VIEWS}/{as_user.post(VIEWS, {'name': 'Mine'}).json['id']}"


def test_every_role_keeps_views(client, factories):
    for role in Role:
        assert client.acting_as(factories.User(role=role)).post(VIEWS, {"name": "Mine"}).status_code == 201
