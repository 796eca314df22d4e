import pytest

from tests.routes.tasks.task_requests import FIELDS, TASKS

BOARD = "/api/v1/board"


class TestBoard:
    def test_has_a_column_for_each_status(self, as_user, task, factories):
        factories.Task(status="done")

        response = as_user.get(f"{BOARD}?project=gen")

        assert response.status_code == 200
        assert response.headers["X-Cache"] == "miss"
        counts = {column["status"]: column["count"] for column in response.json["columns"]}
        assert counts == {"todo": 1, "in_progress": 0, "blocked": 0, "done": 1, "cancelled": 0}
        (todo, *_) = response.json["columns"]
        assert set(todo) == {"status", "count", "count_is_capped", "items", "next_cursor"}
        assert [set(item) for item in todo["items"]] == [FIELDS]
        assert (todo["next_cursor"], todo["count_is_capped"]) == (None, False)

    def test_the_cursor_of_a_column_continues_the_list(self, as_user, factories):
        tasks = [factories.Task() for _ in range(3)]

        (todo, *_) = as_user.get(f"{BOARD}?project=GEN&limit=2&status=todo").json["columns"]
        page = as_user.get(f"{TASKS}?project=GEN&status=todo&sort=position&cursor={todo['next_cursor']}").json

        assert [item["id"] for item in (*todo["items"], *page["items"])] == [task.id for task in tasks]

    def test_takes_filters_fields_and_objects(self, as_user, user, task):
        as_user.patch(f"{TASKS}/{task.id}", {"assignee": user.username})

        (column,) = as_user.get(f"{BOARD}?assignee=me&status=todo&fields=id,assignee&expand=assignee").json["columns"]

        assert column["items"] == [{"id": task.id, "assignee": {"id": user.id, "username": user.username}}]

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ("cursor=x", "/cursor"),
            ("sort=title", "/sort"),
            ("deleted=true", "/deleted"),
            ("limit=0", "/limit"),
            ("limit=201", "/limit"),
            ("status=asleep", "/status/0"),
            ("as_of=2999-01-01", "/as_of"),
            ("colour=red", "/colour"),
        ],
    )
    def test_what_is_wrong_is_named(self, as_user, query, pointer):
        response = as_user.get(f"{BOARD}?{query}")

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == [pointer]

    def test_needs_a_token(self, client):
        assert client.get(BOARD).status_code == 401


class TestView:
    def test_is_opened_as_a_board(self, as_user, factories):
        view = as_user.post("/api/v1/views", json={"name": "Done", "query": {"label": "x"}, "layout": "board"})
        factories.Task(labels=["x"])
        factories.Task()

        board = as_user.get(f"/api/v1/board?view={view.json['id']}")

        assert (view.status_code, board.status_code) == (201, 200)
        assert sum(column["count"] for column in board.json["columns"]) == 1
        assert as_user.get("/api/v1/board?view=999999").status_code == 422
