"""Answers about bad input stay small, however large the input is."""

import orjson
import pytest

from app.models.people.user import Role

MAX_ANSWER_BYTES = 20_000
LONG = "x" * 100_000


class TestManyProblems:
    def test_the_first_are_listed_and_all_are_counted(self, as_admin):
        answer = as_admin.post("/api/v1/tasks", {f"field{number}": 1 for number in range(99)})

        assert answer.status_code == 422
        # The missing title is one more problem.
        assert (len(answer.json["errors"]), answer.json["error_count"]) == (20, 100)
        assert answer.json["detail"].endswith("; … and 97 more")

    def test_the_classic_routes_count_them_all(self, as_admin):
        answer = as_admin.post("/task", {f"field{number}": 1 for number in range(99)})

        assert (answer.status_code, list(answer.json)) == (422, ["error"])
        assert answer.json["error"].endswith("; … and 97 more")

    def test_a_few_are_all_listed(self, as_admin):
        answer = as_admin.post("/api/v1/tasks", {"colour": 1, "size": 2})

        assert (len(answer.json["errors"]), answer.json["error_count"]) == (3, 3)
        assert "more" not in answer.json["detail"]


BODIES = {
    "many fields": orjson.dumps(dict.fromkeys(map(str, range(90_000)), 1)),
    "many labels": orjson.dumps({"title": "x", "labels": [1] * 400_000}),
    "long names of fields": orjson.dumps({LONG: 1, LONG + "y": LONG}),
    "long words": orjson.dumps({"title": "x", "status": LONG, "priority": LONG, "due_at": LONG, "project": LONG}),
    "a long account": orjson.dumps({"username": LONG, "email": f"{LONG}@{LONG}.org", "password": LONG, "role": LONG}),
    "deep": b'{"title":' * 1000 + b"1" + b"}" * 1000,
    "nested too deeply": b'{"title":' * 100_000,
    "lists in lists": b'{"labels":' + b"[" * 900 + b"]" * 900 + b"}",
    "brackets": b"[" * 500_000,
    "a list": orjson.dumps(["x"] * 200_000),
}
QUERIES = {
    "many parameters": "&".join(f"a{number}=1" for number in range(3000)),
    "a long name": "a" * 30_000,
    "commas": "status=" + "," * 30_000,
    "many labels": "label=" + "a," * 10_000,
    "digits": "limit=" + "9" * 30_000,
    "a long cursor": "cursor=" + "a" * 30_000,
    "repeated": "&".join(["limit=1"] * 3000),
}


class TestManyValues:
    """Counted before the body is parsed, because the parsed objects take far more memory than the body."""

    @pytest.mark.parametrize("value", [1, "a,b", {"a": "b"}, [1], {"a": {"b": {"c": {}}}}])
    def test_are_refused(self, as_admin, value):
        answer = as_admin.post("/api/v1/tasks", {"title": "x", "labels": [value] * 26_000})

        assert (answer.status_code, answer.json["code"]) == (413, "too_large")
        assert answer.json["detail"] == "the body has too many values"

    @pytest.mark.parametrize("text", ["," * 20_000, '",' * 9_000, '\\",' * 6_000, '\\",:[]{}' * 2_400])
    def test_commas_in_text_are_not_counted(self, as_admin, text):
        answer = as_admin.post("/api/v1/tasks", {"title": "x", "description": text})

        assert (answer.status_code, answer.json["description"]) == (201, text)

    @pytest.mark.parametrize(
        "body", [b'{"a":"' + b'\\",' * 300_000, b'",' * 300_000, b"\\," * 300_000, b'"\\' * 400_000]
    )
    def test_broken_bodies_are_scanned_in_linear_time(self, as_admin, body):
        answer = as_admin.request("POST", "/api/v1/tasks", data=body, headers={"Content-Type": "application/json"})

        assert answer.status_code in {400, 413}


class TestHugeInput:
    @pytest.mark.parametrize("path", ["/api/v1/tasks", "/task", "/api/v1/auth/register"])
    def test_a_body_gets_a_small_answer(self, as_admin, path):
        for name, body in BODIES.items():
            answer = as_admin.request("POST", path, data=body, headers={"Content-Type": "application/json"})

            assert 400 <= answer.status_code < 500, name
            assert len(answer.data) < MAX_ANSWER_BYTES, name

    @pytest.mark.parametrize("path", ["/api/v1/tasks", "/tasks"])
    def test_a_query_gets_a_small_answer(self, as_admin, path):
        for name, query in QUERIES.items():
            answer = as_admin.get(f"{path}?{query}")

            assert answer.status_code < 500, name
            assert len(answer.data) < MAX_ANSWER_BYTES, name
            assert sum(len(value) for _name, value in answer.headers) < MAX_ANSWER_BYTES, name

    def test_thousands_of_excluded_checks_are_one_problem(self, as_admin):
        answer = as_admin.get("/readyz?" + "&".join(["exclude=x"] * 3000))

        assert (answer.status_code, answer.json["error_count"]) == (422, 1)

    @pytest.mark.parametrize("path", ["/api/v1/tasks?q=" + "a" * 40_000, "/api/v1/tasks/" + "a" * 40_000])
    def test_an_address_that_is_too_long_is_refused(self, as_admin, path):
        answer = as_admin.get(path)

        assert (answer.status_code, answer.json["code"]) == (414, "uri_too_long")
        assert len(answer.data) < 1_000


@pytest.fixture
def as_admin(client, factories):
    return client.acting_as(factories.User(role=Role.ADMIN))
