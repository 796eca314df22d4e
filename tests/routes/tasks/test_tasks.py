import base64
import re
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from app.models.people.user import Role
from app.models.tasks.fields import MAX_LABELS
from app.settings import RateLimit

TASKS = "/api/v1/tasks"
FIELDS = {
    *("id", "ref", "project", "title", "description", "status", "priority", "labels", "creator", "assignee"),
    *("due_at", "external_ref", "position", "created_at", "updated_at", "started_at", "completed_at", "deleted_at"),
    "version",
}
NOT_THERE = 999_999_999
MAX_BIGINT = 2**63 - 1


class TestCreate:
    def test_a_title_is_enough(self, as_user, user):
        response = as_user.post(TASKS, {"title": " Water the plants "})

        assert response.status_code == 201
        assert set(response.json) == FIELDS
        assert response.json == {
            **response.json,
            "title": "Water the plants",
            "description": "",
            "project": "GEN",
            "status": "todo",
            "priority": "medium",
            "labels": [],
            "creator": user.username,
            "assignee": None,
            "due_at": None,
            "external_ref": None,
            "started_at": None,
            "completed_at": None,
            "deleted_at": None,
            "version": 1,
        }

    def test_location_leads_to_it_and_etag_is_its_version(self, as_user):
        created = as_user.post(TASKS, {"title": "Water the plants"})

        shown = as_user.get(created.headers["Location"])

        assert shown.json == created.json
        assert shown.headers["ETag"] == created.headers["ETag"]

    def test_all_that_can_be_said_is_kept(self, as_user, factories):
        assignee = factories.User()
        said = {
            "title": "Ship it",
            "description": "Today.\nOr tomorrow.",
            "status": "in_progress",
            "priority": "critical",
            "labels": ["release", "a b", 'quo"te', "ünï"],
            "assignee": assignee.username,
            "due_at": "2031-05-06T07:08:09+00:00",
            "external_ref": "JIRA-42 / ünï",
            "position": -1.5,
            "project": "GEN",
        }

        response = as_user.post(TASKS, said)

        assert response.status_code == 201
        assert {name: response.json[name] for name in said} == said
        assert response.json["started_at"] is not None

    @pytest.mark.parametrize(
        ("said", "kept"),
        [
            ({"status": "Open"}, {"status": "todo"}),
            ({"status": "In Progress"}, {"status": "in_progress"}),
            ({"status": "CLOSED"}, {"status": "done"}),
            ({"status": "not-started"}, {"status": "todo"}),
            ({"priority": "URGENT"}, {"priority": "critical"}),
            ({"priority": "1"}, {"priority": "low"}),
            ({"priority": "Highest"}, {"priority": "critical"}),
            ({"labels": ["b", " a ", "b", "a", "B"]}, {"labels": ["b", "a", "B"]}),
            ({"external_ref": " 42 "}, {"external_ref": "42"}),
            ({"external_ref": "r" * 255}, {"external_ref": "r" * 255}),
            ({"external_ref": None}, {"external_ref": None}),
            ({"project": "gen"}, {"project": "GEN"}),
            ({"title": "t" * 255}, {"title": "t" * 255}),
            ({"title": "\U0001f4a9" * 255}, {"title": "\U0001f4a9" * 255}),
            ({"description": "d" * 20_000}, {"description": "d" * 20_000}),
            ({"due_at": "2031-05-06T07:08:09+02:00"}, {"due_at": "2031-05-06T05:08:09+00:00"}),
            ({"due_at": "2031-05-06T07:08:09+23:59"}, {"due_at": "2031-05-05T07:09:09+00:00"}),
            ({"due_at": "2031-05-06T07:08:09Z"}, {"due_at": "2031-05-06T07:08:09+00:00"}),
            ({"due_at": "2031-05-06T07:08:09"}, {"due_at": "2031-05-06T07:08:09+00:00"}),
        ],
    )
    def test_what_people_write_is_understood(self, as_user, said, kept):
        response = as_user.post(TASKS, {"title": "One", **said})

        assert response.status_code == 201
        assert {name: response.json[name] for name in kept} == kept

    def test_an_ended_one_has_its_time_of_ending(self, as_user):
        response = as_user.post(TASKS, {"title": "Was done already", "status": "done"})

        assert response.json["completed_at"] is not None

    @pytest.mark.parametrize(
        ("said", "pointer"),
        [
            ({"title": None}, "/title"),
            ({"title": ""}, "/title"),
            ({"title": "   "}, "/title"),
            ({"title": "t" * 300}, "/title"),
            ({"title": "NUL \x00 inside"}, "/title"),
            ({"title": 7}, "/title"),
            ({"title": ["One"]}, "/title"),
            ({"description": "d" * 20_001}, "/description"),
            ({"description": "\x00"}, "/description"),
            ({"description": None}, "/description"),
            ({"status": "gone fishing"}, "/status"),
            ({"status": ""}, "/status"),
            ({"status": None}, "/status"),
            ({"status": True}, "/status"),
            ({"priority": "whatever"}, "/priority"),
            ({"priority": 3}, "/priority"),
            ({"labels": "release"}, "/labels"),
            ({"labels": None}, "/labels"),
            ({"labels": [""]}, "/labels/0"),
            ({"labels": ["fine", None]}, "/labels/1"),
            ({"labels": ["l" * 51]}, "/labels/0"),
            ({"labels": ["\x00"]}, "/labels/0"),
            ({"labels": [f"label {n}" for n in range(21)]}, "/labels"),
            ({"external_ref": ""}, "/external_ref"),
            ({"external_ref": "  "}, "/external_ref"),
            ({"external_ref": "r" * 256}, "/external_ref"),
            ({"external_ref": "\x00"}, "/external_ref"),
            ({"external_ref": 7}, "/external_ref"),
            ({"assignee": "nobody at all"}, "/assignee"),
            ({"assignee": ""}, "/assignee"),
            ({"assignee": 7}, "/assignee"),
            ({"project": "NONE"}, "/project"),
            ({"project": "not a key"}, "/project"),
            ({"project": None}, "/project"),
            ({"due_at": "2031-02-30T00:00:00Z"}, "/due_at"),
            ({"due_at": "2031-13-01T00:00:00Z"}, "/due_at"),
            ({"due_at": "2031-05-06T25:00:00Z"}, "/due_at"),
            ({"due_at": "tomorrow"}, "/due_at"),
            ({"due_at": ""}, "/due_at"),
            ({"due_at": 1_900_000_000}, "/due_at"),
            ({"due_at": "9999-12-31T23:59:59Z"}, "/due_at"),
            ({"due_at": "0001-01-01T00:00:00Z"}, "/due_at"),
            ({"position": "first"}, "/position"),
            ({"position": None}, "/position"),
            ({"id": 7}, "/id"),
            ({"created_at": "2020-01-01T00:00:00Z"}, "/created_at"),
            ({"creator": "somebody"}, "/creator"),
            ({"a/b~c": 1}, "/a~1b~0c"),
        ],
    )
    def test_what_cannot_be_kept_is_refused_by_name(self, as_user, said, pointer):
        response = as_user.post(TASKS, {"title": "One", **said})

        assert response.status_code == 422
        assert response.json["code"] == "invalid"
        assert {problem["pointer"] for problem in response.json["errors"]} == {pointer}

    def test_an_inactive_user_is_given_nothing_to_do(self, as_user, factories):
        gone = factories.User(is_active=False)

        response = as_user.post(TASKS, {"title": "One", "assignee": gone.username})

        assert (response.status_code, response.json["code"]) == (422, "invalid")

    def test_a_viewer_may_not(self, client, factories):
        response = client.acting_as(factories.User(role=Role.VIEWER)).post(TASKS, {"title": "One"})

        assert (response.status_code, response.json["code"]) == (403, "forbidden")


class TestBodies:
    @pytest.mark.parametrize("body", ["{", "", "{'title': 'One'}", "\xff", '{"title": "One"} and more', "[" * 100_000])
    def test_what_is_not_json_cannot_be_read(self, as_user, body):
        response = as_user.request("POST", TASKS, data=body.encode("latin-1"), content_type="application/json")

        if body.startswith("[["):
            # More values than a body may have: it is not parsed at all.
            assert (response.status_code, response.json["code"]) == (413, "too_large")
        elif body:
            assert (response.status_code, response.json["code"]) == (400, "bad_request")
        else:
            assert response.status_code in {400, 422}
        assert response.content_type == "application/problem+json"

    @pytest.mark.parametrize("body", ["[]", "null", "7", '"One"', "[[]]"])
    def test_json_that_is_no_object_is_refused(self, as_user, body):
        response = as_user.request("POST", TASKS, data=body, content_type="application/json")

        assert (response.status_code, response.json["code"]) == (422, "invalid")

    @pytest.mark.parametrize(
        "body",
        ['{"title": "\\ud800"}', '{"title": "One", "labels": ["\\udfff"]}', '{"title": "One", "assignee": "\\ud800"}'],
    )
    def test_half_a_character_is_refused(self, as_user, body):
        response = as_user.request("POST", TASKS, data=body, content_type="application/json")

        assert response.status_code in {400, 422}

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
    def test_what_is_no_number_is_refused(self, as_user, number):
        body = f'{{"title": "One", "position": {number}}}'

        response = as_user.request("POST", TASKS, data=body, content_type="application/json")

        assert response.status_code in {400, 422}

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
    )
    def test_another_content_type_is_refused(self, as_user, content_type):
        response = as_user.request("POST", TASKS, data=b'{"title": "One"}', content_type=content_type)

        assert (response.status_code, response.json["code"]) == (415, "unsupported_media_type")

    def test_json_by_another_name_is_taken(self, as_user):
        for content_type in ("application/json; charset=utf-8", "application/merge-patch+json"):
            response = as_user.request("POST", TASKS, data=b'{"title": "One"}', content_type=content_type)

            assert response.status_code == 201

    def test_a_body_over_the_limit_is_refused_unread(self, as_user, base_settings):
        body = {"title": "One", "description": "d" * base_settings.max_body_bytes}

        response = as_user.post(TASKS, body)

        assert (response.status_code, response.json["status"]) == (413, 413)
        assert response.content_type == "application/problem+json"


class TestShow:
    def test_a_task_with_its_version_as_etag(self, as_user, task):
        response = as_user.get(f"{TASKS}/{task.id}")

        assert response.status_code == 200
        assert set(response.json) == FIELDS
        assert re.fullmatch(r'"[^"]+"', response.headers["ETag"])
        assert response.headers["Cache-Control"] == "private, no-cache"

    def test_who_has_this_version_gets_no_body(self, as_user, task):
        etag = as_user.get(f"{TASKS}/{task.id}").headers["ETag"]

        # A proxy that compresses makes the tag weak.
        for tag in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            response = as_user.get(f"{TASKS}/{task.id}", headers={"If-None-Match": tag})
            assert (response.status_code, response.data) == (304, b""), tag
            assert response.headers["ETag"] == etag

    def test_who_has_an_older_version_gets_the_new_one(self, as_user, task):
        etag = as_user.get(f"{TASKS}/{task.id}").headers["ETag"]
        as_user.patch(f"{TASKS}/{task.id}", {"title": "New"})

        response = as_user.get(f"{TASKS}/{task.id}", headers={"If-None-Match": etag})

        assert (response.status_code, response.json["title"]) == (200, "New")

    @pytest.mark.parametrize(
        "unknown", [NOT_THERE, MAX_BIGINT, MAX_BIGINT + 1, 10**30, "9" * 5000, 0, -1, "1.0", "OPS-1", "%00", "1%00"]
    )
    def test_an_unknown_one_is_not_found(self, as_user, unknown):
        response = as_user.get(f"{TASKS}/{unknown}")

        assert response.status_code == (400 if "%00" in str(unknown) else 404)
        assert response.content_type == "application/problem+json"

    def test_a_deleted_one_is_shown_to_who_may_restore_it_only(self, as_user, as_manager, factories, clock):
        task = factories.Task(deleted_at=clock())

        assert as_user.get(f"{TASKS}/{task.id}").status_code == 404
        assert as_manager.get(f"{TASKS}/{task.id}").json["deleted_at"] is not None


class TestReplace:
    def test_what_is_absent_goes_back_to_its_default(self, as_user, factories, ops_member, ops):
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

    def test_what_another_system_calls_it_is_replaced_too(self, as_user, full_task):
        response = as_user.put(f"{TASKS}/{full_task.id}", {"title": "New", "external_ref": "JIRA-43"})

        assert (response.status_code, response.json["external_ref"]) == (200, "JIRA-43")

    def test_is_a_change_like_any_other(self, as_user, factories, clock):
        task = factories.Task(updated_at=clock() - timedelta(hours=1))
        before = as_user.get(f"{TASKS}/{task.id}").json

        after = as_user.put(f"{TASKS}/{task.id}", {"title": "New"}).json

        assert after["updated_at"] > before["updated_at"]
        assert after["version"] == before["version"] + 1

    def test_without_a_title_it_is_no_task(self, as_user, task):
        response = as_user.put(f"{TASKS}/{task.id}", {"status": "done"})

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == ["/title"]

    def test_twice_is_once(self, as_user, task):
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
            {"due_at": "2032-01-01T00:00:00+00:00"},
            {"external_ref": "JIRA-43"},
            {"external_ref": None},
            {"position": 0.5},
        ],
    )
    def test_only_what_is_named_changes(self, as_user, full_task, change):
        before = as_user.get(f"{TASKS}/{full_task.id}").json

        response = as_user.patch(f"{TASKS}/{full_task.id}", change)

        assert response.status_code == 200
        assert response.json == {**before, **change, "updated_at": response.json["updated_at"], "version": 2}
        assert as_user.get(f"{TASKS}/{full_task.id}").json == response.json

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({}, ""),
            ({"title": None}, "/title"),
            ({"title": " "}, "/title"),
            ({"description": None}, "/description"),
            ({"status": None}, "/status"),
            ({"priority": None}, "/priority"),
            ({"labels": None}, "/labels"),
            ({"position": None}, "/position"),
            ({"external_ref": ""}, "/external_ref"),
            ({"external_ref": "r" * 256}, "/external_ref"),
            ({"project": None}, "/project"),
            ({"project": "NONE"}, "/project"),
            ({"version": 7}, "/version"),
            ({"deleted_at": None}, "/deleted_at"),
        ],
    )
    def test_what_cannot_be_kept_is_refused_and_changes_nothing(self, as_user, full_task, change, pointer):
        before = as_user.get(f"{TASKS}/{full_task.id}").json

        response = as_user.patch(f"{TASKS}/{full_task.id}", change)

        assert response.status_code == 422
        assert {problem["pointer"] for problem in response.json["errors"]} == {pointer}
        assert as_user.get(f"{TASKS}/{full_task.id}").json == before

    def test_a_label_said_twice_is_kept_once_where_it_is_said_first(self, as_user, full_task):
        response = as_user.patch(f"{TASKS}/{full_task.id}", {"labels": ["b", "a", " b "]})

        assert (response.status_code, response.json["labels"]) == (200, ["b", "a"])

    def test_labels_that_are_the_same_once_said_twice_change_nothing(self, as_user, full_task):
        response = as_user.patch(f"{TASKS}/{full_task.id}", {"labels": ["x", "y", "x"]})

        assert (response.status_code, response.json["version"]) == (200, 1)

    def test_the_same_label_twice_is_one(self, as_user, full_task):
        response = as_user.patch(f"{TASKS}/{full_task.id}", {"labels": ["again"] * MAX_LABELS})

        assert (response.status_code, response.json["labels"]) == (200, ["again"])

    def test_with_more_than_one_field_it_is_one_version(self, as_user, full_task):
        change = {"title": "New", "assignee": None, "project": "GEN", "status": "done"}

        response = as_user.patch(f"{TASKS}/{full_task.id}", change)

        assert (response.status_code, response.json["version"]) == (200, 2)

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_an_unknown_one_is_not_found(self, as_manager, method):
        response = as_manager.request(method, f"{TASKS}/{NOT_THERE}", json={"title": "New"})

        assert (response.status_code, response.json["code"]) == (404, "not_found")

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("unknown", [0, MAX_BIGINT, MAX_BIGINT + 1, 10**30])
    def test_so_is_what_can_be_no_id(self, as_manager, method, unknown):
        response = as_manager.request(method, f"{TASKS}/{unknown}", json={"title": "New"})

        assert (response.status_code, response.json["code"]) == (404, "not_found")

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_a_deleted_one_is_not_found(self, as_manager, factories, clock, method):
        task = factories.Task(deleted_at=clock())

        assert as_manager.request(method, f"{TASKS}/{task.id}", json={"title": "New"}).status_code == 404

    def test_a_viewer_may_not(self, client, factories, task):
        viewer = client.acting_as(factories.User(role=Role.VIEWER))

        for method in ("PUT", "PATCH"):
            assert viewer.request(method, f"{TASKS}/{task.id}", json={"title": "New"}).status_code == 403

    def test_an_assignee_of_the_old_project_does_not_come_along(self, as_user, factories, ops_member, client):
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
    def test_who_was_too_slow_is_told_and_changes_nothing(self, as_manager, task, method, path, body):
        stale = as_manager.get(f"{TASKS}/{task.id}").headers["ETag"]
        current = as_manager.patch(f"{TASKS}/{task.id}", {"description": "somebody was faster"})

        refused = as_manager.request(method, f"{TASKS}/{task.id}{path}", json=body, headers={"If-Match": stale})

        assert (refused.status_code, refused.json["code"]) == (412, "precondition_failed")
        assert as_manager.get(f"{TASKS}/{task.id}").json == current.json

        of_now = {"If-Match": current.headers["ETag"]}
        assert as_manager.request(method, f"{TASKS}/{task.id}{path}", json=body, headers=of_now).status_code < 300

    @pytest.mark.parametrize(
        ("tag", "status"), [("*", 200), ('"other", {etag}', 200), ("W/{etag}", 412), ('"other"', 412), ("", 412)]
    )
    def test_any_of_the_tags_named_must_be_the_strong_one_of_now(self, as_user, task, tag, status):
        etag = as_user.get(f"{TASKS}/{task.id}").headers["ETag"]

        response = as_user.patch(f"{TASKS}/{task.id}", {"title": "New"}, headers={"If-Match": tag.format(etag=etag)})

        assert response.status_code == status

    def test_the_tag_of_another_task_does_not_match(self, as_user, factories):
        one, other = factories.Task(), factories.Task()
        tag = as_user.get(f"{TASKS}/{one.id}").headers["ETag"]

        assert as_user.patch(f"{TASKS}/{other.id}", {"title": "New"}, headers={"If-Match": tag}).status_code == 412

    def test_a_change_answers_the_next_tag(self, as_user, task):
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
            {"due_at": "2031-05-06T07:08:09+00:00"},
            {"due_at": None},
            {"status": "done", "due_at": "2031-05-06T07:08:09+00:00"},
        ],
    )
    def test_the_status_or_the_deadline_or_both(self, as_user, full_task, method, change):
        before = as_user.get(f"{TASKS}/{full_task.id}").json

        response = as_user.request(method, f"{TASKS}/{full_task.id}/status", json=change)

        assert response.status_code == 200
        times = {name: response.json[name] for name in ("updated_at", "started_at", "completed_at")}
        assert response.json == {**before, **change, **times, "version": 2}
        assert "ETag" in response.headers

    def test_times_follow_it(self, as_user, task):
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

    def test_an_unknown_one_is_not_found(self, as_user):
        assert as_user.put(f"{TASKS}/{NOT_THERE}/status", {"status": "done"}).status_code == 404


class TestDelete:
    def test_is_soft(self, as_manager, task):
        response = as_manager.delete(f"{TASKS}/{task.id}")

        assert (response.status_code, response.data) == (204, b"")
        assert ids_of(as_manager.get(TASKS)) == []
        assert ids_of(as_manager.get(f"{TASKS}?deleted=true")) == [task.id]

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_others_may_not(self, client, factories, task, role):
        response = client.acting_as(factories.User(role=role)).delete(f"{TASKS}/{task.id}")

        assert (response.status_code, response.json["code"]) == (403, "forbidden")

    def test_a_deleted_one_is_not_there_to_be_deleted(self, as_manager, task):
        as_manager.delete(f"{TASKS}/{task.id}")

        assert as_manager.delete(f"{TASKS}/{task.id}").status_code == 404


class TestRestore:
    def test_brings_it_back_as_it_was(self, as_manager, full_task):
        before = as_manager.get(f"{TASKS}/{full_task.id}").json
        as_manager.delete(f"{TASKS}/{full_task.id}")

        response = as_manager.post(f"{TASKS}/{full_task.id}/restore")

        assert response.status_code == 200
        assert response.json == {**before, "updated_at": response.json["updated_at"], "version": 3}
        assert ids_of(as_manager.get(TASKS)) == [full_task.id]

    def test_what_is_not_deleted_is_not_there_to_be_restored(self, as_manager, task):
        assert as_manager.post(f"{TASKS}/{task.id}/restore").status_code == 404
        assert as_manager.post(f"{TASKS}/{NOT_THERE}/restore").status_code == 404

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_others_may_not(self, client, factories, clock, role):
        task = factories.Task(deleted_at=clock())

        assert client.acting_as(factories.User(role=role)).post(f"{TASKS}/{task.id}/restore").status_code == 403


class TestList:
    def test_nothing_is_an_empty_page(self, as_user):
        response = as_user.get(TASKS)

        assert (response.status_code, response.json) == (200, {"items": [], "next_cursor": None})
        assert "Link" not in response.headers

    def test_shows_each_task_as_it_is_shown_alone(self, as_user, full_task):
        assert as_user.get(TASKS).json["items"] == [as_user.get(f"{TASKS}/{full_task.id}").json]

    @pytest.mark.parametrize(
        ("query", "titles"),
        [
            ("", ["Blocked", "Cancelled", "Done", "Plain", "Started"]),
            ("status=todo", ["Plain"]),
            ("status=OPEN", ["Plain"]),
            ("status=done,cancelled", ["Cancelled", "Done"]),
            ("priority=critical", ["Blocked"]),
            ("priority=low,urgent", ["Blocked", "Started"]),
            ("project=OPS", ["Started"]),
            ("project=ops,gen", ["Blocked", "Cancelled", "Done", "Plain", "Started"]),
            ("project=NONE", []),
            ("assignee=Ann", ["Started"]),
            ("assignee=ANN", ["Started"]),
            ("assignee={ann}", ["Started"]),
            ("assignee=me", ["Blocked"]),
            ("assignee=none", ["Cancelled", "Done", "Plain"]),
            ("assignee=nobody.at.all", []),
            ("assignee=99999999999999999999", []),
            ("creator=ann", ["Done"]),
            ("creator=me", ["Plain"]),
            ("creator={ann}", ["Done"]),
            ("label=red", ["Blocked", "Started"]),
            ("label=red,big", ["Blocked"]),
            ("label=Red", []),
            ("due_before={now}", ["Done", "Started"]),
            ("due_after={now}", ["Blocked"]),
            ("due_after={yesterday}&due_before={now}", ["Started"]),
            ("overdue=true", ["Started"]),
            ("overdue=false", ["Blocked", "Cancelled", "Done", "Plain"]),
            ("updated_since={yesterday}", ["Plain"]),
            ("due_before=2001-01-01T00:00:00%2B23:59", []),
            ("q=quick", ["Done", "Plain"]),
            ("q=quick+fox", ["Plain"]),
            ("q=QUICK+-fox", ["Done"]),
            ("q=cancelled+or+blocked", ["Blocked", "Cancelled"]),
            ("q=%22%27+%26+%7C+%21+%28%3A*", []),
            ("status=todo&q=quick&assignee=none", ["Plain"]),
            ("deleted=false&status=todo", ["Plain"]),
            ("deleted=true", ["Gone"]),
        ],
    )
    def test_every_filter(self, board, query, titles):
        response = board.client.get(f"{TASKS}?sort=title&{board.filled_in(query)}")

        assert response.status_code == 200
        assert [task["title"] for task in response.json["items"]] == titles

    @pytest.mark.parametrize(
        ("sort", "titles"),
        [
            ("id", ["Plain", "Started", "Blocked", "Done", "Cancelled"]),
            ("-id", ["Cancelled", "Done", "Blocked", "Started", "Plain"]),
            ("title", ["Blocked", "Cancelled", "Done", "Plain", "Started"]),
            ("-title", ["Started", "Plain", "Done", "Cancelled", "Blocked"]),
            ("priority", ["Started", "Plain", "Done", "Cancelled", "Blocked"]),
            ("-priority", ["Blocked", "Cancelled", "Done", "Plain", "Started"]),
            ("status", ["Plain", "Started", "Blocked", "Done", "Cancelled"]),
            ("-status", ["Cancelled", "Done", "Blocked", "Started", "Plain"]),
            ("due_at", ["Done", "Started", "Blocked", "Plain", "Cancelled"]),
            ("-due_at", ["Cancelled", "Plain", "Blocked", "Started", "Done"]),
            ("position", ["Cancelled", "Done", "Blocked", "Started", "Plain"]),
            ("-position", ["Plain", "Started", "Blocked", "Done", "Cancelled"]),
            ("created_at", ["Started", "Blocked", "Done", "Cancelled", "Plain"]),
            ("-created_at", ["Plain", "Cancelled", "Done", "Blocked", "Started"]),
            ("updated_at", ["Started", "Blocked", "Done", "Cancelled", "Plain"]),
            ("-updated_at", ["Plain", "Cancelled", "Done", "Blocked", "Started"]),
        ],
    )
    def test_every_sort_in_one_page_and_in_many(self, board, sort, titles):
        in_one = board.client.get(f"{TASKS}?sort={sort}")
        in_many = list(follow(board.client, f"{TASKS}?sort={sort}&limit=2"))

        assert [task["title"] for task in in_one.json["items"]] == titles
        assert [task["title"] for page in in_many for task in page.json["items"]] == titles
        assert [len(page.json["items"]) for page in in_many] == [2, 2, 1]

    def test_newest_change_first_unless_told_otherwise(self, board):
        assert board.client.get(TASKS).json == board.client.get(f"{TASKS}?sort=-updated_at").json

    def test_link_says_what_next_cursor_says_and_keeps_the_question(self, board):
        response = board.client.get(f"{TASKS}?sort=title&label=red&limit=1")

        target, _, relation = response.headers["Link"].partition("; ")
        assert relation == 'rel="next"'
        assert target == f"<{TASKS}?sort=title&label=red&limit=1&cursor={response.json['next_cursor']}>"

    def test_the_total_is_counted_on_request_only(self, board):
        assert "total" not in board.client.get(f"{TASKS}?limit=1").json
        assert board.client.get(f"{TASKS}?limit=1&include_total=true").json["total"] == 5
        assert board.client.get(f"{TASKS}?status=todo&include_total=true").json["total"] == 1

    @pytest.mark.parametrize("limit", [1, 200])
    def test_a_page_may_be_so_long(self, board, limit):
        assert len(board.client.get(f"{TASKS}?limit={limit}").json["items"]) == min(limit, 5)

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ("limit=0", "/limit"),
            ("limit=201", "/limit"),
            ("limit=-1", "/limit"),
            ("limit=ten", "/limit"),
            ("limit=" + "9" * 5000, "/limit"),
            ("limit=", "/limit"),
            ("sort=colour", "/sort"),
            ("sort=", "/sort"),
            ("sort=--title", "/sort"),
            ("status=asleep", "/status/0"),
            ("status=todo,asleep", "/status/1"),
            ("project=not-a-key", "/project/0"),
            ("label=" + ",".join("abcdefghijklmnopqrstu"), "/label"),
            ("overdue=perhaps", "/overdue"),
            ("due_before=tomorrow", "/due_before"),
            ("due_after=2031-02-30", "/due_after"),
            ("deleted=perhaps", "/deleted"),
            ("include_total=perhaps", "/include_total"),
            ("q=" + "q" * 201, "/q"),
            ("assignee=" + "a" * 65, "/assignee"),
            ("colour=red", "/colour"),
            ("Status=todo", "/Status"),
            ("page=2", "/page"),
        ],
    )
    def test_a_question_that_it_does_not_answer_is_refused(self, as_user, query, pointer):
        response = as_user.get(f"{TASKS}?{query}")

        assert response.status_code == 422
        assert {problem["pointer"] for problem in response.json["errors"]} == {pointer}

    def test_nul_in_a_question_cannot_be_read(self, as_user):
        assert as_user.get(f"{TASKS}?q=a%00b").status_code == 400

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_the_deleted_ones_are_for_who_may_restore_them(self, client, factories, role):
        response = client.acting_as(factories.User(role=role)).get(f"{TASKS}?deleted=true")

        assert (response.status_code, response.json["code"]) == (403, "forbidden")

    def test_shows_nothing_of_a_project_one_is_not_in(self, as_user, factories):
        factories.Task(project_id=factories.Project(key="SECRET").id)

        for query in ("", "?project=SECRET", "?include_total=true"):
            response = as_user.get(f"{TASKS}{query}")
            assert (response.json["items"], response.json.get("total", 0)) == ([], 0)


class TestCursors:
    @pytest.mark.parametrize(
        "cursor", ["garbage", "%20", "%C3%A4", "bnVsbA", "W10", "W1tdLFtdLFtdXQ", "a" * 1999, "=", "...."]
    )
    def test_what_is_not_ours_is_refused(self, as_user, cursor):
        response = as_user.get(f"{TASKS}?cursor={cursor}")

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/cursor")

    def test_one_of_another_sort_is_refused(self, board):
        cursor = board.client.get(f"{TASKS}?sort=title&limit=1").json["next_cursor"]

        response = board.client.get(f"{TASKS}?sort=-title&limit=1&cursor={cursor}")

        assert response.status_code == 422
        assert "another sort" in response.json["detail"]

    @pytest.mark.parametrize(
        ("sort", "key"),
        [
            ("id", "ten"),
            ("id", "9223372036854775808"),
            ("id", "\N{ARABIC-INDIC DIGIT ONE}"),
            ("updated_at", "yesterday"),
            ("updated_at", "2031-01-01T00:00:00"),
            ("updated_at", "2031-W01-1T00:00:00+00:00"),
            ("updated_at", "2031-01-01T00:00:00+23:59"),
            ("updated_at", "2031-01-01\x1f00:00:00+00:00"),
            ("due_at", "-infinity and beyond"),
            ("priority", "urgent"),
            ("priority", ""),
            ("status", "TODO"),
            ("title", "a\x00b"),
            ("title", 7),
            ("title", None),
            ("position", "first"),
            ("position", "nan"),
            ("position", "infinity"),
            ("position", "1_0"),
            ("position", "1e-999"),
            ("position", "\N{ARABIC-INDIC DIGIT ONE}"),
        ],
    )
    def test_one_that_was_tampered_with_is_refused(self, as_user, sort, key):
        response = as_user.get(f"{TASKS}?sort={sort}&cursor={forged([sort, key, 1])}")

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/cursor")

    @pytest.mark.parametrize("row_id", ["1", None, 1.5, True, 2**63, [1]])
    def test_so_is_one_with_an_id_that_is_none(self, as_user, row_id):
        response = as_user.get(f"{TASKS}?sort=title&cursor={forged(['title', 'One', row_id])}")

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/cursor")

    def test_where_the_row_it_names_has_gone_the_list_goes_on_behind_it(self, as_manager, factories):
        tasks = [factories.Task() for _ in range(3)]
        first = as_manager.get(f"{TASKS}?sort=id&limit=2")
        as_manager.delete(f"{TASKS}/{tasks[1].id}")

        second = as_manager.get(f"{TASKS}?sort=id&limit=2&cursor={first.json['next_cursor']}")

        assert ids_of(second) == [tasks[2].id]


class TestCache:
    def test_the_second_look_is_a_hit_and_says_the_same(self, as_user, task):
        first, second = as_user.get(TASKS), as_user.get(TASKS)

        assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
        assert second.json == first.json

    def test_a_hit_has_its_link_too(self, as_user, factories):
        for _ in range(2):
            factories.Task()

        first, second = as_user.get(f"{TASKS}?limit=1"), as_user.get(f"{TASKS}?limit=1")

        assert second.headers["X-Cache"] == "hit"
        assert second.headers["Link"] == first.headers["Link"]

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", TASKS, {"title": "New"}),
            ("PUT", TASKS + "/{id}", {"title": "New"}),
            ("PATCH", TASKS + "/{id}", {"title": "New"}),
            ("PATCH", TASKS + "/{id}", {"title": "New", "assignee": None}),
            ("PUT", TASKS + "/{id}/status", {"status": "done"}),
            ("DELETE", TASKS + "/{id}", None),
            ("POST", "/task", {"task_name": "New"}),
            ("PUT", "/task/{id}", {"task_name": "New"}),
            ("DELETE", "/task/{id}", None),
        ],
    )
    def test_a_change_is_seen_at_once(self, as_manager, task, method, path, body):
        before = as_manager.get(TASKS)

        as_manager.request(method, path.format(id=task.id), json=body)

        after = as_manager.get(TASKS)
        assert after.headers["X-Cache"] == "miss"
        assert after.json != before.json

    def test_another_question_is_not_answered_from_it(self, as_user, factories):
        factories.Task(title="Low", priority="low")
        factories.Task(title="High", priority="high")

        low, high = as_user.get(f"{TASKS}?priority=low"), as_user.get(f"{TASKS}?priority=high")

        assert high.headers["X-Cache"] == "miss"
        assert [response.json["items"][0]["title"] for response in (low, high)] == ["Low", "High"]

    def test_me_is_somebody_else_for_somebody_else(self, client, factories):
        one, other = factories.User(), factories.User()
        factories.Task(assignee_id=one.id)

        assert len(client.acting_as(one).get(f"{TASKS}?assignee=me").json["items"]) == 1
        assert client.acting_as(other).get(f"{TASKS}?assignee=me").json["items"] == []

    def test_the_deleted_ones_are_not_cached_for_others(self, client, factories, as_manager):
        assert as_manager.get(f"{TASKS}?deleted=true").status_code == 200

        assert client.acting_as(factories.User()).get(f"{TASKS}?deleted=true").status_code == 403


class TestAnswers:
    def test_what_is_nowhere_is_a_problem_document(self, as_user):
        response = as_user.get("/api/v1/nowhere")

        assert response.status_code == 404
        assert response.content_type == "application/problem+json"
        assert response.json == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "there is nothing here",
            "code": "not_found",
            "request_id": response.headers["X-Request-ID"],
        }

    def test_a_method_that_is_not_taken_is_answered_with_those_that_are(self, as_user, task):
        of_list = as_user.delete(TASKS)
        of_one = as_user.post(f"{TASKS}/{task.id}", {})

        assert (of_list.status_code, of_list.json["code"]) == (405, "method_not_allowed")
        assert allowed(of_list) == {"GET", "HEAD", "OPTIONS", "POST"}
        assert allowed(of_one) == {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}

    def test_what_is_nowhere_is_not_there_whatever_is_sent_to_it(self, as_user):
        nowhere = as_user.request("POST", "/api/v1/nowhere", data={"a": "form"})
        not_taken = as_user.request("POST", f"{TASKS}/1", data={"a": "form"})

        assert (nowhere.status_code, not_taken.status_code) == (404, 405)

    @pytest.mark.parametrize("request_id", ["a", "abc-DEF_1.2", "x" * 64])
    def test_a_request_id_is_echoed(self, as_user, request_id):
        response = as_user.get(TASKS, headers={"X-Request-ID": request_id})

        assert response.headers["X-Request-ID"] == request_id

    @pytest.mark.parametrize("request_id", ["", "x" * 65, "with space", "<script>", "ü"])
    def test_one_that_would_spoil_a_log_is_replaced(self, as_user, request_id):
        response = as_user.get(TASKS, headers={"X-Request-ID": request_id})

        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])

    def test_a_browser_is_told_to_do_nothing_with_it(self, as_user):
        headers = as_user.get(TASKS).headers

        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]

    def test_a_trailing_slash_is_no_other_place(self, as_user, task):
        assert as_user.get(f"{TASKS}/").json == as_user.get(TASKS).json

    def test_head_is_get_without_the_body(self, as_user, task):
        response = as_user.request("HEAD", f"{TASKS}/{task.id}")

        assert (response.status_code, response.data) == (200, b"")
        assert response.headers["ETag"] == as_user.get(f"{TASKS}/{task.id}").headers["ETag"]


class TestRateLimit:
    def test_every_answer_says_how_much_is_left(self, as_user):
        first, second = as_user.get(TASKS), as_user.get(f"{TASKS}/{NOT_THERE}")

        assert [response.headers["X-RateLimit-Limit"] for response in (first, second)] == ["3", "3"]
        assert [response.headers["X-RateLimit-Remaining"] for response in (first, second)] == ["2", "1"]
        assert int(first.headers["X-RateLimit-Reset"]) > 0
        assert first.headers["RateLimit-Policy"] == '"default";q=3;w=60'
        assert re.fullmatch(r'"default";r=2;t=\d+', first.headers["RateLimit"])
        assert "Retry-After" not in first.headers

    def test_too_many_is_a_429_that_says_when(self, as_user):
        for _ in range(3):
            assert as_user.get(TASKS).status_code == 200

        response = as_user.get(TASKS)

        assert (response.status_code, response.json["code"]) == (429, "too_many_requests")
        assert response.content_type == "application/problem+json"
        assert response.headers["X-RateLimit-Remaining"] == "0"
        assert 1 <= int(response.headers["Retry-After"]) <= 61
        assert response.headers["RateLimit"] == f'"default";r=0;t={response.headers["Retry-After"]}'

    def test_one_user_does_not_use_up_another_ones(self, client, factories, as_user):
        for _ in range(4):
            as_user.get(TASKS)

        assert client.acting_as(factories.User()).get(TASKS).status_code == 200

    def test_two_sessions_of_one_user_share_a_count(self, client, user):
        for _ in range(3):
            client.acting_as(user).get(TASKS)

        assert client.acting_as(user).get(TASKS).status_code == 429

    def test_who_says_no_name_is_counted_by_address(self, client):
        for _ in range(3):
            assert client.get(TASKS, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code == 401

        assert client.get(TASKS, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code == 429
        assert client.get(TASKS, environ_overrides={"REMOTE_ADDR": "192.0.2.2"}).status_code == 401

    def test_a_made_up_token_is_no_way_around(self, client):
        for number in range(3):
            client.get(TASKS, headers={"Authorization": f"Bearer made.up.{number}"})

        assert client.get(TASKS, headers={"Authorization": "Bearer made.up.again"}).status_code == 429

    def test_asking_what_one_may_ask_is_counted_too(self, as_user, caplog):
        for _ in range(3):
            assert as_user.request("OPTIONS", TASKS).status_code == 200

        assert as_user.get(TASKS).status_code == 429
        assert caplog.records == []

    def test_those_who_watch_over_it_are_not_counted(self, client):
        for _ in range(5):
            assert client.get("/healthz").status_code == 200

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, rate_limits=replace(base_settings.rate_limits, default=RateLimit(3, 60)))


class TestRateLimitOff:
    def test_nothing_is_counted(self, as_user):
        for _ in range(4):
            response = as_user.get(TASKS)

        assert response.status_code == 200
        assert not [name for name, _ in response.headers if "ratelimit" in name.lower()]

    @pytest.fixture
    def settings(self, base_settings):
        off = replace(base_settings.rate_limits, enabled=False, default=RateLimit(3, 60))
        return replace(base_settings, rate_limits=off)


def ids_of(response):
    assert response.status_code == 200
    return [task["id"] for task in response.json["items"]]


def follow(client, path):
    """Every page from this one on, by what Link says."""
    while path:
        response = client.get(path)
        assert response.status_code == 200
        yield response
        path = response.headers.get("Link", "").partition(">")[0].removeprefix("<")


def forged(words):
    return base64.urlsafe_b64encode(orjson.dumps(words)).decode().rstrip("=")


def allowed(response):
    return {method.strip() for method in response.headers["Allow"].split(",")}


class Board:
    """Five tasks that every filter tells apart, and one that was deleted."""

    def __init__(self, client, factories, ops, now):
        me = factories.User(role=Role.MANAGER)
        self._ann = factories.User(username="Ann")
        self._now = now
        for user in (me, self._ann):
            factories.ProjectMember(project_id=ops.id, user_id=user.id)
        self._factories = factories
        self._add(title="Plain", description="the quick brown fox", creator_id=me.id, position=5, age_hours=1)
        self._add(
            title="Started",
            status="in_progress",
            priority="low",
            project_id=ops.id,
            assignee_id=self._ann.id,
            labels=["red"],
            due_at=now - timedelta(hours=1),
            position=4,
            age_hours=60,
        )
        self._add(
            title="Blocked",
            status="blocked",
            priority="critical",
            assignee_id=me.id,
            labels=["big", "red"],
            due_at=now + timedelta(hours=1),
            position=3,
            age_hours=50,
        )
        self._add(
            title="Done",
            description="quick",
            status="done",
            creator_id=self._ann.id,
            due_at=now - timedelta(days=3),
            position=2,
            age_hours=40,
        )
        self._add(title="Cancelled", status="cancelled", priority="high", position=1, age_hours=30)
        self._add(title="Gone", deleted_at=now, age_hours=20)
        self.client = client.acting_as(me)

    def filled_in(self, query):
        def as_parameter(moment):
            return moment.isoformat().replace("+", "%2B")

        return query.format(
            ann=self._ann.id, now=as_parameter(self._now), yesterday=as_parameter(self._now - timedelta(days=1))
        )

    def _add(self, *, age_hours, **said):
        changed_at = self._now - timedelta(hours=age_hours)
        self._factories.Task(created_at=changed_at, updated_at=changed_at, **said)


class OpsMember:
    def __init__(self, client, factories, ops):
        self.user = factories.User()
        factories.ProjectMember(project_id=ops.id, user_id=self.user.id)
        self.client = client.acting_as(self.user)


@pytest.fixture
def board(client, factories, ops, clock):
    return Board(client, factories, ops, clock())


@pytest.fixture
def ops(factories):
    return factories.Project(key="OPS")


@pytest.fixture
def ops_member(client, factories, ops):
    return OpsMember(client, factories, ops)


@pytest.fixture
def user(factories):
    return factories.User()


@pytest.fixture
def as_user(client, user):
    return client.acting_as(user)


@pytest.fixture
def as_manager(client, factories):
    return client.acting_as(factories.User(role=Role.MANAGER))


@pytest.fixture
def task(factories):
    return factories.Task()


@pytest.fixture
def full_task(factories):
    """With nothing at its default."""
    return factories.Task(
        title="Old",
        description="long",
        status="in_progress",
        priority="high",
        labels=["x", "y"],
        assignee_id=factories.User().id,
        due_at="2031-01-01T00:00:00Z",
        external_ref="JIRA-42",
        started_at="2030-01-01T00:00:00Z",
        position=42.0,
    )
