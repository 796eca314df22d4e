from datetime import timedelta

import pytest

from app.models.people.user import Role
from app.models.tasks.fields import MAX_LABELS
from tests.routes.tasks.task_requests import MAX_BIGINT, TASKS, UNKNOWN_ID


class TestReplace:
    def test_absent_fields_return_to_their_defaults(self, as_user, factories, ops_member, ops):
        task = factories.Task(
            project_id=ops.id,
            title="Old",
            description="long",
            status="in_progress",
            priority="high",
            labels=["x"],
            assignee_id=ops_member.user.id,
            due_at="2031-01-01T00:00:00Z",
            external_ref="JIRA-42",
            position=42.0,
        )

        response = ops_member.client.put(f"{TASKS}/{task.id}", {"title": "New"})

        assert response.status_code == 200
        expected = {
            "title": "New",
            "description": "",
            "status": "todo",
            "priority": "medium",
            "labels": [],
            "assignee": None,
            "due_at": None,
            "external_ref": None,
            "project": "OPS",
            "position": 42.0,
            "version": 2,
        }
        assert {name: response.json[name] for name in expected} == expected

    def test_the_external_reference_is_replaced(self, as_user, full_task):
        response = as_user.put(f"{TASKS}/{full_task.id}", {"title": "New", "external_ref": "JIRA-43"})

        assert (response.status_code, response.json["external_ref"]) == (200, "JIRA-43")

    def test_counts_as_a_change(self, as_user, factories, clock):
        task = factories.Task(updated_at=clock() - timedelta(hours=1))
        before = as_user.get(f"{TASKS}/{task.id}").json

        after = as_user.put(f"{TASKS}/{task.id}", {"title": "New"}).json

        assert after["updated_at"] > before["updated_at"]
        assert after["version"] == before["version"] + 1

    def test_a_title_is_required(self, as_user, task):
        response = as_user.put(f"{TASKS}/{task.id}", {"status": "done"})

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == ["/title"]

    def test_a_repeated_request_changes_nothing(self, as_user, task):
        first = as_user.put(f"{TASKS}/{task.id}", {"title": "New", "status": "done"})
        second = as_user.put(f"{TASKS}/{task.id}", {"title": "New", "status": "done"})

        assert second.json == first.json


class TestChange:
    @pytest.mark.parametrize(
        "change",
        [
            {"title": "New"},
            {"description": ""},
            {"status": "blocked"},
            {"priority": "low"},
            {"labels": []},
            {"labels": ["b", "a"]},
            {"assignee": None},
            {"due_at": None},
            {"due_at": "2032-01-01T00:00:00.000000+00:00"},
            {"external_ref": "JIRA-43"},
            {"external_ref": None},
            {"position": 0.5},
        ],
    )
    def test_only_the_named_fields_change(self, as_user, full_task, change):
        before = as_user.get(f"{TASKS}/{full_task.id}").json

        response = as_user.patch(f"{TASKS}/{full_task.id}", change)

        assert response.status_code == 200
        assert response.json == {**before, **change, "updated_at": response.json["updated_at"], "version": 2}
        assert as_user.get(f"{TASKS}/{full_task.id}").json == response.json

    @pytest.mark.parametrize(
        ("field", "empty"),
        [("description", ""), ("labels", []), ("assignee", None), ("due_at", None), ("external_ref", None)],
    )
    def test_null_empties_a_field_that_may_be_empty(self, as_user, full_task, field, empty):
        created = as_user.post(TASKS, {"title": "New", field: None})
        changed = as_user.patch(f"{TASKS}/{full_task.id}", {field: None})
        replaced = as_user.put(f"{TASKS}/{full_task.id}", {"title": "New", field: None})

        assert [created.status_code, changed.status_code, replaced.status_code] == [201, 200, 200]
        assert [each.json[field] for each in (created, changed, replaced)] == [empty, empty, empty]

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({}, ""),
            ({"title": None}, "/title"),
            ({"title": " "}, "/title"),
            ({"status": None}, "/status"),
            ({"priority": None}, "/priority"),
            ({"position": None}, "/position"),
            ({"external_ref": ""}, "/external_ref"),
            ({"external_ref": "r" * 256}, "/external_ref"),
            ({"project": None}, "/project"),
            ({"project": "NONE"}, "/project"),
            ({"version": 7}, "/version"),
            ({"deleted_at": None}, "/deleted_at"),
        ],
    )
    def test_an_invalid_value_is_refused_and_changes_nothing(self, as_user, full_task, change, pointer):
        before = as_user.get(f"{TASKS}/{full_task.id}").json

        response = as_user.patch(f"{TASKS}/{full_task.id}", change)

        assert response.status_code == 422
        assert {problem["pointer"] for problem in response.json["errors"]} == {pointer}
        assert as_user.get(f"{TASKS}/{full_task.id}").json == before

    def test_a_repeated_label_keeps_its_first_place(self, as_user, full_task):
        response = as_user.patch(f"{TASKS}/{full_task.id}", {"labels": ["b", "a", " b "]})

        assert (response.status_code, response.json["labels"]) == (200, ["b", "a"])

    def test_labels_that_only_repeat_the_current_ones_change_nothing(self, as_user, full_task):
        response = as_user.patch(f"{TASKS}/{full_task.id}", {"labels": ["x", "y", "x"]})

        assert (response.status_code, response.json["version"]) == (200, 1)

    def test_a_repeated_label_counts_once(self, as_user, full_task):
        response = as_user.patch(f"{TASKS}/{full_task.id}", {"labels": ["again"] * MAX_LABELS})

        assert (response.status_code, response.json["labels"]) == (200, ["again"])

    def test_a_change_of_several_fields_is_one_version(self, as_user, full_task):
        change = {"title": "New", "assignee": None, "project": "GEN", "status": "done"}

        response = as_user.patch(f"{TASKS}/{full_task.id}", change)

        assert (response.status_code, response.json["version"]) == (200, 2)

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_an_unknown_task_is_not_found(self, as_manager, method):
        response = as_manager.request(method, f"{TASKS}/{UNKNOWN_ID}", json={"title": "New"})

        assert (response.status_code, response.json["code"]) == (404, "not_found")

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("unknown", [0, MAX_BIGINT, MAX_BIGINT + 1, 10**30])
    def test_an_impossible_id_is_not_found(self, as_manager, method, unknown):
        response = as_manager.request(method, f"{TASKS}/{unknown}", json={"title": "New"})

        assert (response.status_code, response.json["code"]) == (404, "not_found")

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_a_deleted_task_is_not_found(self, as_manager, factories, clock, method):
        task = factories.Task(deleted_at=clock())

        assert as_manager.request(method, f"{TASKS}/{task.id}", json={"title": "New"}).status_code == 404

    def test_a_viewer_may_not(self, client, factories, task):
        viewer = client.acting_as(factories.User(role=Role.VIEWER))

        for method in ("PUT", "PATCH"):
            assert viewer.request(method, f"{TASKS}/{task.id}", json={"title": "New"}).status_code == 403

    def test_a_move_drops_an_assignee_who_is_not_in_the_new_project(self, as_user, factories, ops_member, client):
        task = factories.Task(assignee_id=factories.User().id)

        response = ops_member.client.patch(f"{TASKS}/{task.id}", {"project": "OPS"})
        with_assignee = ops_member.client.patch(f"{TASKS}/{task.id}", {"project": "OPS", "assignee": None})

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == ["/project"]
        assert (with_assignee.status_code, with_assignee.json["ref"]) == (200, "OPS-1")


class TestPreconditions:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PUT", "", {"title": "New"}),
            ("PATCH", "", {"title": "New"}),
            ("PUT", "/status", {"status": "done"}),
            ("PATCH", "/status", {"status": "done"}),
            ("DELETE", "", None),
        ],
    )
    def test_an_outdated_tag_is_refused_and_changes_nothing(self, as_manager, task, method, path, body):
        stale = as_manager.get(f"{TASKS}/{task.id}").headers["ETag"]
        current = as_manager.patch(f"{TASKS}/{task.id}", {"description": "somebody was faster"})

        refused = as_manager.request(method, f"{TASKS}/{task.id}{path}", json=body, headers={"If-Match": stale})

        assert (refused.status_code, refused.json["code"]) == (412, "precondition_failed")
        assert as_manager.get(f"{TASKS}/{task.id}").json == current.json

        current_tag = {"If-Match": current.headers["ETag"]}
        assert as_manager.request(method, f"{TASKS}/{task.id}{path}", json=body, headers=current_tag).status_code < 300

    @pytest.mark.parametrize(
        ("tag", "status"), [("*", 200), ('"other", {etag}', 200), ("W/{etag}", 412), ('"other"', 412), ("", 412)]
    )
    def test_one_of_the_tags_must_be_the_current_strong_one(self, as_user, task, tag, status):
        etag = as_user.get(f"{TASKS}/{task.id}").headers["ETag"]

        response = as_user.patch(f"{TASKS}/{task.id}", {"title": "New"}, headers={"If-Match": tag.format(etag=etag)})

        assert response.status_code == status

    def test_the_tag_of_another_task_does_not_match(self, as_user, factories):
        one, other = factories.Task(), factories.Task()
        tag = as_user.get(f"{TASKS}/{one.id}").headers["ETag"]

        assert as_user.patch(f"{TASKS}/{other.id}", {"title": "New"}, headers={"If-Match": tag}).status_code == 412

    def test_a_change_returns_the_next_tag(self, as_user, task):
        tag = as_user.get(f"{TASKS}/{task.id}").headers["ETag"]

        for title in ("First", "Second", "Third"):
            response = as_user.patch(f"{TASKS}/{task.id}", {"title": title}, headers={"If-Match": tag})
            assert response.status_code == 200
            assert response.headers["ETag"] != tag
            tag = response.headers["ETag"]


class TestChangeStatus:
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    @pytest.mark.parametrize(
        "change",
        [
            {"status": "blocked"},
            {"due_at": "2031-05-06T07:08:09.000000+00:00"},
            {"due_at": None},
            {"status": "done", "due_at": "2031-05-06T07:08:09.000000+00:00"},
        ],
    )
    def test_changes_the_status_the_deadline_or_both(self, as_user, full_task, method, change):
        before = as_user.get(f"{TASKS}/{full_task.id}").json

        response = as_user.request(method, f"{TASKS}/{full_task.id}/status", json=change)

        assert response.status_code == 200
        times = {name: response.json[name] for name in ("updated_at", "started_at", "completed_at")}
        assert response.json == {**before, **change, **times, "version": 2}
        assert "ETag" in response.headers

    def test_the_times_follow_the_status(self, as_user, task):
        begun = as_user.put(f"{TASKS}/{task.id}/status", {"status": "in_progress"}).json
        ended = as_user.put(f"{TASKS}/{task.id}/status", {"status": "done"}).json
        open_again = as_user.put(f"{TASKS}/{task.id}/status", {"status": "open"}).json

        assert (begun["started_at"] is None, begun["completed_at"] is None) == (False, True)
        assert (ended["started_at"], ended["completed_at"] is None) == (begun["started_at"], False)
        assert (open_again["status"], open_again["completed_at"]) == ("todo", None)

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    @pytest.mark.parametrize(
        "change", [{}, {"status": None}, {"status": "asleep"}, {"due_at": "2031-02-30"}, {"title": "New"}]
    )
    def test_anything_else_is_refused(self, as_user, task, method, change):
        assert as_user.request(method, f"{TASKS}/{task.id}/status", json=change).status_code == 422

    def test_a_viewer_may_not(self, client, factories, task):
        viewer = client.acting_as(factories.User(role=Role.VIEWER))

        assert viewer.put(f"{TASKS}/{task.id}/status", {"status": "done"}).status_code == 403

    def test_an_unknown_task_is_not_found(self, as_user):
        assert as_user.put(f"{TASKS}/{UNKNOWN_ID}/status", {"status": "done"}).status_code == 404


class OpsMember:
    def __init__(self, client, factories, ops):
        self.user = factories.User()
        factories.ProjectMember(project_id=ops.id, user_id=self.user.id)
        self.client = client.acting_as(self.user)


@pytest.fixture
def ops_member(client, factories, ops):
    return OpsMember(client, factories, ops)
