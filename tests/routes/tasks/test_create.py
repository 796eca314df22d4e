import pytest

from app.models.people.user import Role
from tests.routes.tasks.task_requests import FIELDS, TASKS


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

    def test_location_is_its_url_and_etag_its_version(self, as_user):
        created = as_user.post(TASKS, {"title": "Water the plants"})

        shown = as_user.get(created.headers["Location"])

        assert shown.json == created.json
        assert shown.headers["ETag"] == created.headers["ETag"]

    def test_every_field_is_stored(self, as_user, factories):
        assignee = factories.User()
        sent = {
            "title": "Ship it",
            "description": "Today.\nOr tomorrow.",
            "status": "in_progress",
            "priority": "critical",
            "labels": ["release", "a b", 'quo"te', "ünï"],
            "assignee": assignee.username,
            "due_at": "2031-05-06T07:08:09.000000+00:00",
            "external_ref": "JIRA-42 / ünï",
            "position": -1.5,
            "project": "GEN",
        }

        response = as_user.post(TASKS, sent)

        assert response.status_code == 201
        assert {name: response.json[name] for name in sent} == sent
        assert response.json["started_at"] is not None

    @pytest.mark.parametrize(
        ("sent", "stored"),
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
            ({"due_at": "2031-05-06T07:08:09+02:00"}, {"due_at": "2031-05-06T05:08:09.000000+00:00"}),
            ({"due_at": "2031-05-06T07:08:09+23:59"}, {"due_at": "2031-05-05T07:09:09.000000+00:00"}),
            ({"due_at": "2031-05-06"}, {"due_at": "2031-05-06T23:59:59.000000+00:00"}),
            ({"due_at": "2031-05-06T00:00:00"}, {"due_at": "2031-05-06T00:00:00.000000+00:00"}),
            ({"due_at": "2031-05-06T07:08:09Z"}, {"due_at": "2031-05-06T07:08:09.000000+00:00"}),
            ({"due_at": "2031-05-06T07:08:09"}, {"due_at": "2031-05-06T07:08:09.000000+00:00"}),
        ],
    )
    def test_accepts_values_as_people_write_them(self, as_user, sent, stored):
        response = as_user.post(TASKS, {"title": "One", **sent})

        assert response.status_code == 201
        assert {name: response.json[name] for name in stored} == stored

    def test_a_finished_task_has_a_completion_time(self, as_user):
        response = as_user.post(TASKS, {"title": "Was done already", "status": "done"})

        assert response.json["completed_at"] is not None

    @pytest.mark.parametrize(
        ("sent", "pointer"),
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
            ({"status": "gone fishing"}, "/status"),
            ({"status": ""}, "/status"),
            ({"status": None}, "/status"),
            ({"status": True}, "/status"),
            ({"priority": "whatever"}, "/priority"),
            ({"priority": 3}, "/priority"),
            ({"labels": "release"}, "/labels"),
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
    def test_an_invalid_value_is_refused_by_name(self, as_user, sent, pointer):
        response = as_user.post(TASKS, {"title": "One", **sent})

        assert response.status_code == 422
        assert response.json["code"] == "invalid"
        assert {problem["pointer"] for problem in response.json["errors"]} == {pointer}

    def test_an_inactive_user_cannot_be_the_assignee(self, as_user, factories):
        inactive = factories.User(is_active=False)

        response = as_user.post(TASKS, {"title": "One", "assignee": inactive.username})

        assert (response.status_code, response.json["code"]) == (422, "invalid")

    def test_a_viewer_may_not(self, client, factories):
        response = client.acting_as(factories.User(role=Role.VIEWER)).post(TASKS, {"title": "One"})

        assert (response.status_code, response.json["code"]) == (403, "forbidden")


class TestBodies:
    @pytest.mark.parametrize("body", ["{", "", "{'title': 'One'}", "\xff", '{"title": "One"} and more', "[" * 100_000])
    def test_a_body_that_is_not_json_is_refused(self, as_user, body):
        response = as_user.request("POST", TASKS, data=body.encode("latin-1"), content_type="application/json")

        if body.startswith("[["):
            # The body has more values than the limit, so it is not parsed.
            assert (response.status_code, response.json["code"]) == (413, "too_large")
        elif body:
            assert (response.status_code, response.json["code"]) == (400, "bad_request")
        else:
            assert response.status_code in {400, 422}
        assert response.content_type == "application/problem+json"

    @pytest.mark.parametrize("body", ["[]", "null", "7", '"One"', "[[]]"])
    def test_json_that_is_not_an_object_is_refused(self, as_user, body):
        response = as_user.request("POST", TASKS, data=body, content_type="application/json")

        assert (response.status_code, response.json["code"]) == (422, "invalid")

    @pytest.mark.parametrize(
        "body",
        ['{"title": "\\ud800"}', '{"title": "One", "labels": ["\\udfff"]}', '{"title": "One", "assignee": "\\ud800"}'],
    )
    def test_a_lone_surrogate_is_refused(self, as_user, body):
        response = as_user.request("POST", TASKS, data=body, content_type="application/json")

        assert response.status_code in {400, 422}

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
    def test_a_value_that_is_not_a_number_is_refused(self, as_user, number):
        body = f'{{"title": "One", "position": {number}}}'

        response = as_user.request("POST", TASKS, data=body, content_type="application/json")

        assert response.status_code in {400, 422}

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
    )
    def test_another_content_type_is_refused(self, as_user, content_type):
        response = as_user.request("POST", TASKS, data=b'{"title": "One"}', content_type=content_type)

        assert (response.status_code, response.json["code"]) == (415, "unsupported_media_type")

    def test_other_json_content_types_are_accepted(self, as_user):
        for content_type in ("application/json; charset=utf-8", "application/merge-patch+json"):
            response = as_user.request("POST", TASKS, data=b'{"title": "One"}', content_type=content_type)

            assert response.status_code == 201

    def test_a_body_over_the_limit_is_refused_before_it_is_read(self, as_user, base_settings):
        body = {"title": "One", "description": "d" * base_settings.max_body_bytes}

        response = as_user.post(TASKS, body)

        assert (response.status_code, response.json["status"]) == (413, 413)
        assert response.content_type == "application/problem+json"
