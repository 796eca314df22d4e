"""Many people change one task at the same time."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

PEOPLE = 8
TURNS = 25

pytestmark = pytest.mark.deep


class TestOneTask:
    def test_loses_no_change_made_with_a_precondition(self, stage):
        """Each person adds one to the number that they read; every acknowledged sum must be there in the end."""
        stage.start_api()
        _, task = stage.ask("POST", "/api/v1/tasks", {"title": "0"})

        with ThreadPoolExecutor(PEOPLE) as people:
            outcomes = [
                outcome for own in people.map(lambda _: add_often(stage, task["id"]), range(PEOPLE)) for outcome in own
            ]

        done, refused = outcomes.count(200), outcomes.count(412)
        print(f"\n{done} changes done, {refused} refused as too late, of {len(outcomes)}")
        assert done + refused == len(outcomes) == PEOPLE * TURNS
        assert refused > 0
        assert stage.ask("GET", f"/api/v1/tasks/{task['id']}")[1]["title"] == str(done)
        assert stage.query("SELECT title FROM task_history ORDER BY revision") == [
            (str(number),) for number in range(done + 1)
        ]


def add_often(stage, task_id):
    connection = stage.connect()
    path, outcomes = f"/api/v1/tasks/{task_id}", []
    for _ in range(TURNS):
        connection.request("GET", path, headers=stage.headers)
        answer = connection.getresponse()
        number, tag = int(json.loads(answer.read())["title"]), answer.getheader("ETag")
        headers = {**stage.headers, "Content-Type": "application/json", "If-Match": tag}
        connection.request("PATCH", path, json.dumps({"title": str(number + 1)}), headers)
        answer = connection.getresponse()
        answer.read()
        outcomes.append(answer.status)
    connection.close()
    return outcomes
