import pytest

from app.models.tasks.fields import MAX_DESCRIPTION_LENGTH
from app.schemas.tasks.bulk import MAX_ITEMS
from tests.routes.tasks.task_requests import TASKS, UNKNOWN_ID

BULK = f"{TASKS}/bulk"


class TestBulk:
    def test_answers_for_each_task_in_the_order_of_the_request(self, as_user, factories):
        tasks = [factories.Task() for _ in range(3)]
        items = [
            {"task": tasks[2].id, "patch": {"title": "New", "status": "open"}},
            {"task": f"gen-{tasks[0].number}", "move": {"status": "done"}},
            {"task": tasks[1].id, "remove_labels": ["absent"]},
        ]

        response = as_user.post(BULK, {"items": items})

        assert response.status_code == 200
        assert response.json["changed"] == 2
        expected = [(tasks[2], tasks[2].id, 2), (tasks[0], f"GEN-{tasks[0].number}", 2), (tasks[1], tasks[1].id, 1)]
        assert response.json["items"] == [
            {
                "task": key,
                "status": 200,
                "id": task.id,
                "ref": f"GEN-{task.number}",
                "version": version,
                "etag": f'"{task.id}.{version}"',
            }
            for task, key, version in expected
        ]
        assert as_user.get(f"{TASKS}/{tasks[2].id}").headers["ETag"] == response.json["items"][0]["etag"]

    def test_heeds_the_etag_of_each_task(self, as_user, task, factories):
        tag = as_user.get(f"{TASKS}/{task.id}").headers["ETag"]
        item = {"task": task.id, "if_match": tag, "patch": {"title": "New"}}

        first, second = (as_user.post(BULK, {"items": [item], "atomic": False}) for _ in range(2))

        assert first.json["items"][0]["status"] == 200
        assert second.json["items"] == [
            {
                "task": task.id,
                "status": 412,
                "problem": {
                    "code": "precondition_failed",
                    "detail": "the task has changed since you read it; read it again",
                },
            }
        ]

    def test_refuses_all_and_says_why_for_each(self, as_user, task):
        items = [
            {"task": task.id, "patch": {"title": "New"}},
            {"task": UNKNOWN_ID, "assign": None},
        ]

        response = as_user.post(BULK, {"items": items})

        assert response.status_code == 409
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json["code"] == "bulk_refused"
        assert response.json["items"] == [
            {"task": task.id, "status": 424},
            {
                "task": UNKNOWN_ID,
                "status": 404,
                "problem": {"code": "not_found", "detail": f"there is no task {UNKNOWN_ID}"},
            },
        ]
        assert as_user.get(f"{TASKS}/{task.id}").json["version"] == 1

    def test_names_the_field_of_an_item(self, as_user, task):
        items = [{"task": task.id, "patch": {"assignee": "nobody"}}]

        response = as_user.post(BULK, {"items": items, "atomic": False})

        (item,) = response.json["items"]
        assert (response.status_code, item["status"]) == (200, 422)
        assert item["problem"]["errors"] == [
            {"pointer": "/patch/assignee", "detail": "there is no active user nobody in GEN"}
        ]

    def test_a_user_may_not_delete(self, as_user, as_manager, task):
        items = [{"task": task.id, "delete": True}]

        assert as_user.post(BULK, {"items": items, "atomic": False}).json["items"][0]["status"] == 403
        assert as_manager.post(BULK, {"items": items}).json["changed"] == 1
        assert as_manager.post(BULK, {"items": [{"task": task.id, "restore": True}]}).json["changed"] == 1

    def test_a_viewer_may_not(self, as_viewer, task):
        assert as_viewer.post(BULK, {"items": [{"task": task.id, "assign": None}]}).status_code == 403

    def test_a_repeated_request_is_done_once(self, as_user, task):
        body, headers = {"items": [{"task": task.id, "add_labels": ["red"]}]}, {"Idempotency-Key": "once"}

        first, second = (as_user.post(BULK, body, headers=headers) for _ in range(2))

        assert (first.status_code, first.json) == (second.status_code, second.json)
        assert second.headers["Idempotency-Replayed"] == "true"
        assert as_user.get(f"{TASKS}/{task.id}").json["version"] == 2


class TestRefusals:
    @pytest.mark.parametrize(
        ("item", "pointer"),
        [
            ({}, "/task"),
            ({"patch": {"title": "x"}}, "/task"),
            ({"task": 1}, ""),
            ({"task": 1, "delete": True, "restore": True}, ""),
            ({"task": 1, "delete": False}, "/delete"),
            ({"task": 1, "delete": "true"}, "/delete"),
            ({"task": 1, "delete": 1}, "/delete"),
            ({"task": 1, "patch": {}}, "/patch"),
            ({"task": 1, "patch": {"title": ""}}, "/patch/title"),
            ({"task": 1, "patch": []}, "/patch"),
            ({"task": 1, "patch": {"version": 1}}, "/patch/version"),
            ({"task": 1, "move": {}}, "/move"),
            ({"task": 1, "move": {"after": True}}, "/move/after"),
            ({"task": 1, "add_labels": []}, "/add_labels"),
            ({"task": 1, "add_labels": ["x" * 51]}, "/add_labels/0"),
            ({"task": 1, "remove_labels": None}, "/remove_labels"),
            ({"task": 1, "assign": ""}, "/assign"),
            ({"task": 1, "if_match": 1, "assign": None}, "/if_match"),
            ({"task": [], "assign": None}, "/task"),
            ({"task": 1, "explode": True}, "/explode"),
        ],
    )
    def test_what_is_wrong_with_an_item_is_named(self, as_user, item, pointer):
        response = as_user.post(BULK, {"items": [{"task": 2, "assign": None}, item], "atomic": False})

        assert response.status_code == 422
        assert f"/items/1{pointer}" in [problem["pointer"] for problem in response.json["errors"]]

    @pytest.mark.parametrize("items", [None, [], {}, [1], [None], [{"task": 1, "assign": None}] * (MAX_ITEMS + 1)])
    def test_a_list_that_is_empty_too_long_or_none(self, as_user, items):
        response = as_user.post(BULK, {"items": items})

        assert response.status_code == 422
        assert all(problem["pointer"].startswith("/items") for problem in response.json["errors"])

    @pytest.mark.parametrize("atomic", [0, 1, "true", None])
    def test_what_is_neither_true_nor_false(self, as_user, atomic):
        response = as_user.post(BULK, {"items": [{"task": 1, "assign": None}], "atomic": atomic})

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == ["/atomic"]

    def test_a_task_that_is_named_twice(self, as_user, task):
        items = [{"task": task.id, "assign": None}, {"task": f"GEN-{task.number}", "assign": None}]

        response = as_user.post(BULK, {"items": items, "atomic": False})

        assert response.status_code == 422
        assert response.json["errors"] == [{"pointer": "/items/1/task", "detail": "is the task of item 0 again"}]

    def test_more_text_than_a_body_may_have(self, as_user):
        items = [{"task": n, "patch": {"description": "x" * MAX_DESCRIPTION_LENGTH}} for n in range(1, MAX_ITEMS + 1)]

        assert as_user.post(BULK, {"items": items}).status_code == 413
