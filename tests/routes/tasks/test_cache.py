import re

import pytest

from tests.routes.tasks.task_requests import TASKS


class TestCache:
    def test_the_second_request_is_answered_the_same_from_the_cache(self, as_user, task):
        first, second = as_user.get(TASKS), as_user.get(TASKS)

        assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
        assert second.json == first.json

    def test_a_hit_has_the_same_link(self, as_user, factories):
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

    def test_another_query_has_its_own_cache_entry(self, as_user, factories):
        factories.Task(title="Low", priority="low")
        factories.Task(title="High", priority="high")

        low, high = as_user.get(f"{TASKS}?priority=low"), as_user.get(f"{TASKS}?priority=high")

        assert high.headers["X-Cache"] == "miss"
        assert [response.json["items"][0]["title"] for response in (low, high)] == ["Low", "High"]

    def test_me_has_a_cache_entry_for_each_user(self, client, factories):
        one, other = factories.User(), factories.User()
        factories.Task(assignee_id=one.id)

        assert len(client.acting_as(one).get(f"{TASKS}?assignee=me").json["items"]) == 1
        assert client.acting_as(other).get(f"{TASKS}?assignee=me").json["items"] == []

    def test_deleted_tasks_are_not_cached_for_other_roles(self, client, factories, as_manager):
        assert as_manager.get(f"{TASKS}?deleted=true").status_code == 200

        assert client.acting_as(factories.User()).get(f"{TASKS}?deleted=true").status_code == 403


class TestAnswers:
    def test_an_unknown_path_is_a_problem_document(self, as_user):
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

    def test_a_refused_method_is_answered_with_the_allowed_ones(self, as_user, task):
        of_list = as_user.delete(TASKS)
        of_one = as_user.post(f"{TASKS}/{task.id}", {})

        assert (of_list.status_code, of_list.json["code"]) == (405, "method_not_allowed")
        assert allowed(of_list) == {"GET", "HEAD", "OPTIONS", "POST"}
        assert allowed(of_one) == {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}

    def test_an_unknown_path_is_a_404_whatever_its_body(self, as_user):
        nowhere = as_user.request("POST", "/api/v1/nowhere", data={"a": "form"})
        refused_method = as_user.request("POST", f"{TASKS}/1", data={"a": "form"})

        assert (nowhere.status_code, refused_method.status_code) == (404, 405)

    @pytest.mark.parametrize("request_id", ["a", "abc-DEF_1.2", "x" * 64])
    def test_a_request_id_is_echoed(self, as_user, request_id):
        response = as_user.get(TASKS, headers={"X-Request-ID": request_id})

        assert response.headers["X-Request-ID"] == request_id

    @pytest.mark.parametrize("request_id", ["", "x" * 65, "with space", "<script>", "ü"])
    def test_a_request_id_that_would_spoil_the_log_is_replaced(self, as_user, request_id):
        response = as_user.get(TASKS, headers={"X-Request-ID": request_id})

        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])

    def test_headers_keep_a_browser_from_using_the_answer(self, as_user):
        headers = as_user.get(TASKS).headers

        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]

    def test_a_trailing_slash_makes_no_difference(self, as_user, task):
        assert as_user.get(f"{TASKS}/").json == as_user.get(TASKS).json

    def test_head_is_get_without_the_body(self, as_user, task):
        response = as_user.request("HEAD", f"{TASKS}/{task.id}")

        assert (response.status_code, response.data) == (200, b"")
        assert response.headers["ETag"] == as_user.get(f"{TASKS}/{task.id}").headers["ETag"]


def allowed(response):
    return {method.strip() for method in response.headers["Allow"].split(",")}
