"""Requests that no well-behaved client sends: each gets a clear 4xx or an ordinary answer."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.models.people.user import Role
from app.settings import RateLimit

TASKS = "/api/v1/tasks"


class TestSearch:
    @pytest.mark.parametrize("q", ["-" * 33, "-" * 200, "- " * 100, '"' * 200, '-"' * 100, "!&|()<->:*'\\", "or or or"])
    def test_punctuation_alone_breaks_nothing(self, reader, q):
        assert reader.get(TASKS, query_string={"q": q}).status_code == 200

    @examples(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        q=st.lists(
            st.sampled_from(["-", "--", "- ", '-"', '"', "!", "&", "(", "-'", "-_", "or", " ", "a", "\u0430"]),
            max_size=90,
        ).map("".join)
    )
    def test_no_text_breaks_it(self, reader, q):
        assert reader.get(TASKS, query_string={"q": q}).status_code == 200

    def test_a_word_after_much_punctuation_is_found(self, reader, factories):
        factories.Task(title="Repair the roof")

        assert len(reader.get(TASKS, query_string={"q": "roof"}).json["items"]) == 1
        assert len(reader.get(TASKS, query_string={"q": "-roof"}).json["items"]) == 0
        assert len(reader.get(TASKS, query_string={"q": "-----roof"}).json["items"]) == 0


class TestPaths:
    @pytest.mark.parametrize("path", ["/api//v1/tasks", "//api/v1/tasks", "/api/v1//tasks"])
    def test_doubled_slashes_do_not_redirect(self, client, path):
        response = client.get(path, headers={"Host": "evil.example"})

        assert response.status_code == 404
        assert "Location" not in response.headers


class TestQueries:
    @pytest.mark.parametrize(
        ("path", "query", "pointer"),
        [
            (TASKS, "limit=1&limit=2", "/limit"),
            (TASKS, "q=a&q=b", "/q"),
            (TASKS, "due_before=2026-01-01&due_before=2026-01-02", "/due_before"),
            ("/api/v1/projects", "limit=1&limit=1", "/limit"),
            ("/api/v1/task-logs", "project=GEN&project=GEN", "/project"),
        ],
    )
    def test_a_single_parameter_may_not_be_repeated(self, reader, path, query, pointer):
        response = reader.get(f"{path}?{query}")

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == [pointer]

    def test_the_classic_list_refuses_it_in_its_own_format(self, reader):
        response = reader.get("/tasks?page=1&page=2")

        assert response.status_code == 422
        assert response.json["error"].startswith("page: ")

    def test_a_list_parameter_may_be_repeated_or_joined(self, reader):
        assert reader.get(f"{TASKS}?status=todo,done").status_code == 200


class TestBodies:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("due_at", "1" * 40),
            ("due_at", "20261231"),
            ("due_at", "2026-W52-1"),
            ("due_at", 1),
            ("position", "0"),
            ("position", True),
            ("position", "1e3"),
            ("position", [1]),
        ],
    )
    def test_a_value_of_another_type_is_refused_by_name(self, writer, field, value):
        response = writer.post(TASKS, {"title": "odd", field: value})

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == [f"/{field}"]

    @pytest.mark.parametrize(
        "due_at", ["2026-12-31", "2026-12-31T10:00", "2026-12-31T10:00:00.5+01:00", "2026-12-31 10:00:00Z"]
    )
    def test_a_time_as_people_write_it_is_accepted(self, writer, due_at):
        assert writer.post(TASKS, {"title": "fine", "due_at": due_at}).status_code == 201

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("PUT", "{tasks}/{id}"),
            ("PATCH", "{tasks}/{id}"),
            ("PUT", "{tasks}/{id}/status"),
            ("PUT", "/task/{id}"),
            ("POST", "{tasks}"),
        ],
    )
    def test_a_missing_body_is_refused(self, writer, factories, method, path):
        task = factories.Task()

        response = writer.request(method, path.format(tasks=TASKS, id=task.id))

        assert response.status_code == 422
        assert "A JSON body is needed." in response.text

    @pytest.mark.parametrize("body", ["[]", '"text"', "7", "null"])
    def test_a_body_that_is_not_an_object_is_refused(self, writer, body):
        response = writer.request("POST", TASKS, data=body, content_type="application/json")

        assert response.status_code == 422


class TestRefusalsAreCounted:
    @pytest.mark.parametrize(
        ("request_of", "status"),
        [
            (lambda client: client.get("/nowhere"), 404),
            (lambda client: client.get("/api/v1/nowhere/at/all"), 404),
            (lambda client: client.delete("/ping"), 405),
            (lambda client: client.get("/ping?a=%00"), 400),
            (lambda client: client.get("/ping", headers={"Content-Encoding": "gzip"}), 415),
            (lambda client: client.post("/api/v1/auth/login", data="x", content_type="text/plain"), 415),
        ],
    )
    def test_a_scanner_has_to_wait(self, client, request_of, status):
        answers = [request_of(client) for _ in range(5)]

        assert [answer.status_code for answer in answers] == [status] * 3 + [429] * 2
        assert int(answers[-1].headers["Retry-After"]) > 0

    def test_health_checks_are_not_counted(self, client):
        assert {client.get("/healthz").status_code for _ in range(5)} == {200}

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, rate_limits=replace(base_settings.rate_limits, default=RateLimit(3, 60)))


@pytest.fixture
def reader(client, factories):
    return client.acting_as(factories.User(role=Role.VIEWER))


@pytest.fixture
def writer(client, factories):
    return client.acting_as(factories.User(role=Role.MANAGER))
