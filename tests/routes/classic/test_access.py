import pytest

from app.models.people.user import Role
from tests.factories import PASSWORD
from tests.routes.classic.classic_requests import CSV, upload

# Every route that needs a token, with the roles that may call it; {task} and {log} are ids.
ALL = frozenset(Role)
WRITERS = frozenset({Role.ADMIN, Role.MANAGER, Role.USER})
MANAGERS = frozenset({Role.ADMIN, Role.MANAGER})
PROTECTED = {
    ("POST", "/user"): frozenset({Role.ADMIN}),
    ("POST", "/task"): WRITERS,
    ("PUT", "/task/{task}"): MANAGERS,
    ("DELETE", "/task/{task}"): MANAGERS,
    ("GET", "/task/{log}"): ALL,
    ("GET", "/tasklogger/{log}"): ALL,
    ("GET", "/tasks"): ALL,
    ("GET", "/activetasks"): ALL,
    ("POST", "/upload-csv"): MANAGERS,
    ("POST", "/log-tasks"): MANAGERS,
}


class TestAccess:
    @pytest.mark.parametrize(("method", "path"), PROTECTED)
    def test_without_a_token_is_a_401(self, client, ids, method, path):
        response = ask(client, method, path, ids)

        assert response.status_code == 401
        assert response.content_type == "application/json"
        assert response.json == {"error": "a bearer token is needed: log in first"}
        assert response.headers["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("role", list(Role))
    @pytest.mark.parametrize(("method", "path"), PROTECTED)
    def test_a_forbidden_role_is_a_403_and_an_allowed_one_is_answered(self, client, factories, ids, method, path, role):
        response = ask(client.acting_as(factories.User(role=role)), method, path, ids)

        if role in PROTECTED[method, path]:
            assert response.status_code in {200, 201, 202}
        else:
            assert response.status_code == 403
            assert set(response.json) == {"error"}


class TestErrors:
    @pytest.mark.parametrize(
        ("method", "path", "allow"),
        [
            ("POST", "/", {"GET", "HEAD", "OPTIONS"}),
            ("POST", "/ping", {"GET", "HEAD", "OPTIONS"}),
            ("GET", "/login", {"POST", "OPTIONS"}),
            ("GET", "/user", {"POST", "OPTIONS"}),
            ("GET", "/task", {"POST", "OPTIONS"}),
            ("POST", "/task/1", {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}),
            ("PUT", "/tasklogger/1", {"GET", "HEAD", "OPTIONS"}),
            ("POST", "/tasks", {"GET", "HEAD", "OPTIONS"}),
            ("POST", "/activetasks", {"GET", "HEAD", "OPTIONS"}),
            ("GET", "/upload-csv", {"POST", "OPTIONS"}),
            ("GET", "/log-tasks", {"POST", "OPTIONS"}),
        ],
    )
    def test_another_method_is_a_405_that_lists_the_allowed_ones(self, client, method, path, allow):
        response = client.request(method, path)

        assert response.status_code == 405
        assert response.json == {"error": "this resource does not support that method"}
        assert {name.strip() for name in response.headers["Allow"].split(",")} == allow

    @pytest.mark.parametrize(
        "path", ["/task/one", "/task/0", "/task/1/2", "/tasks/1", "/tasklogger/", "/user/1", "/login/x"]
    )
    def test_an_unknown_path_is_a_404(self, as_admin, path):
        response = as_admin.get(path)

        assert response.status_code == 404
        assert response.content_type == "application/json"
        assert set(response.json) == {"error"}

    @pytest.mark.parametrize("path", ["/login", "/user", "/task"])
    def test_a_body_that_is_not_json_is_a_400(self, as_admin, path):
        response = as_admin.request("POST", path, data=b"{", content_type="application/json")

        assert response.status_code == 400
        assert set(response.json) == {"error"}

    @pytest.mark.parametrize("path", ["/login", "/user", "/task"])
    def test_another_content_type_is_a_415(self, as_admin, path):
        response = as_admin.request("POST", path, data={"task_name": "One"})

        assert response.status_code == 415
        assert set(response.json) == {"error"}

    def test_a_body_over_the_limit_is_a_413(self, as_admin, base_settings):
        response = as_admin.post("/task", {"task_name": "One", "description": "d" * base_settings.max_body_bytes})

        assert response.status_code == 413
        assert set(response.json) == {"error"}


def ask(client, method, path, ids):
    """Send a request to this route as its clients do."""
    bodies = {
        "/user": {"username": "new", "email": "new@example.org", "password": PASSWORD, "role": "user"},
        "/task": {"task_name": "Water the plants"},
        "/task/{task}": {"task_name": "Water the plants"},
    }
    if path == "/upload-csv":
        return upload(client, CSV)
    return client.request(method, path.format(**ids), json=bodies.get(path) if method != "GET" else None)


@pytest.fixture
def ids(task, log):
    [row] = log()
    return {"task": task.id, "log": row["id"]}
