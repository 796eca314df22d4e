import pytest

from tests.routes.tasks.task_requests import FIELDS, TASKS, UNKNOWN_ID


class TestMove:
    def test_to_another_column_and_below_a_task(self, as_user, task, factories):
        above = factories.Task(status="done")

        response = as_user.post(f"{TASKS}/{task.id}/move", {"status": "Done", "after": above.id})

        assert response.status_code == 200
        assert set(response.json) == FIELDS
        assert (response.json["status"], response.json["version"]) == ("done", 2)
        assert response.json["position"] > above.position
        assert response.headers["ETag"] == f'"{task.id}.2"'

    def test_beside_a_task_that_is_named_by_its_ref_in_any_case(self, as_user, task, factories):
        below = factories.Task()

        response = as_user.post(f"{TASKS}/gen-{below.number}/move", {"before": f"gen-{task.number}"})

        assert response.status_code == 200
        assert response.json["position"] < task.position

    def test_a_repeated_request_changes_nothing(self, as_user, task, factories):
        move = {"after": factories.Task().id}

        first, second = (as_user.post(f"{TASKS}/{task.id}/move", move) for _ in range(2))

        assert (second.status_code, second.json) == (200, first.json)

    def test_from_another_status_than_expected(self, as_user, task):
        response = as_user.post(f"{TASKS}/{task.id}/move", {"status": "done", "expected_status": "blocked"})

        assert (response.status_code, response.json["code"]) == (409, "status_changed")
        assert response.json["detail"] == "the status is todo now, not blocked"

    def test_of_a_version_that_has_changed(self, as_user, task):
        tag = as_user.get(f"{TASKS}/{task.id}").headers["ETag"]

        first, second = (
            as_user.post(f"{TASKS}/{task.id}/move", {"status": status}, headers={"If-Match": tag})
            for status in ("done", "todo")
        )

        assert (first.status_code, second.status_code) == (200, 412)

    @pytest.mark.parametrize(
        ("move", "pointer"),
        [
            ({}, ""),
            ({"expected_status": "todo"}, ""),
            ({"status": None}, "/status"),
            ({"status": "asleep"}, "/status"),
            ({"after": 1, "before": 2}, "/before"),
            ({"after": 0}, "/after"),
            ({"after": 1.5}, "/after"),
            ({"after": True}, "/after"),
            ({"after": "1"}, "/after"),
            ({"after": [1]}, "/after"),
            ({"before": 2**63}, "/before"),
            ({"before": UNKNOWN_ID}, "/before"),
            ({"before": "GEN-999999999999999999"}, "/before"),
            ({"position": 1}, "/position"),
        ],
    )
    def test_what_is_wrong_is_named(self, as_user, task, move, pointer):
        response = as_user.post(f"{TASKS}/{task.id}/move", move)

        assert response.status_code == 422
        assert pointer in [problem["pointer"] for problem in response.json["errors"]]

    def test_a_viewer_may_not(self, as_viewer, task):
        assert as_viewer.post(f"{TASKS}/{task.id}/move", {"status": "done"}).status_code == 403

    @pytest.mark.parametrize("key", [UNKNOWN_ID, "GEN-999999999"])
    def test_an_unknown_task_is_not_found(self, as_user, key):
        assert as_user.post(f"{TASKS}/{key}/move", {"status": "done"}).status_code == 404
