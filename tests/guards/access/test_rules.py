"""Promise 7: nobody reads or changes what their role and projects do not allow. The routes are read from the app."""

import io
from datetime import timedelta
from functools import cached_property
from uuid import UUID

import pytest
from sqlalchemy import inspect, select

from app.auth.permissions import NEVER_BY_TOKEN, PERMISSIONS_OF, PERMISSIONS_OF_SCOPE, Permission
from app.models.daily_log.task_log import TaskLog
from app.models.login.api_token import TokenScope
from app.models.people.user import Role
from app.models.projects.project import ProjectMember
from app.models.tasks.fields import TaskPriority
from app.models.tasks.task import Task
from tests.guards.access.routes import MEMBER, operations, path_of, permission_of, send, view_of

PUBLIC = {
    ("GET", "/"),
    ("GET", "/ping"),
    ("POST", "/login"),
    ("POST", "/api/v1/auth/register"),
    ("POST", "/api/v1/auth/login"),
    # The token of a reset is in its body.
    ("POST", "/api/v1/auth/password-reset"),
    # This route reads a token of another kind itself.
    ("POST", "/api/v1/auth/refresh"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
    ("GET", "/readyz"),
    # It says less about the release than the OpenAPI document does.
    ("GET", "/version"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/redoc"),
    ("GET", "/static/<path:filename>"),
}
TASK_OPERATIONS = {
    "show": ("GET", "/api/v1/tasks/{id}", None),
    "history": ("GET", "/api/v1/tasks/{id}/history", None),
    "replace": ("PUT", "/api/v1/tasks/{id}", {"title": "New", "priority": "low"}),
    "change": ("PATCH", "/api/v1/tasks/{id}", {"title": "New"}),
    "put status": ("PUT", "/api/v1/tasks/{id}/status", {"status": "done"}),
    "patch status": ("PATCH", "/api/v1/tasks/{id}/status", {"due_at": None}),
    "move": ("POST", "/api/v1/tasks/{id}/move", {"status": "done"}),
    "delete": ("DELETE", "/api/v1/tasks/{id}", None),
    "restore": ("POST", "/api/v1/tasks/{id}/restore", None),
    "table change": ("PUT", "/task/{id}", {"task_name": "New"}),
    "table delete": ("DELETE", "/task/{id}", None),
}
# What a request needs depends on its body, or on whose view it changes.
ASKED_FOR_BY_SERVICES = {Permission.VIEW_SHARE, Permission.VIEW_PUBLISH, Permission.VIEW_MANAGE}
EVERYBODY = frozenset(Role)
WRITERS = EVERYBODY - {Role.VIEWER}
MANAGERS = frozenset({Role.ADMIN, Role.MANAGER})
# Written out a second time, because the table of permissions is under test.
MAY = {
    "show": EVERYBODY,
    "history": EVERYBODY,
    "replace": WRITERS,
    "change": WRITERS,
    "put status": WRITERS,
    "patch status": WRITERS,
    "move": WRITERS,
    "delete": MANAGERS,
    "restore": MANAGERS,
    "table change": MANAGERS,
    "table delete": MANAGERS,
}
ROLES_BELOW_ADMIN = [role for role in Role if role is not Role.ADMIN]


class TestEveryRoute:
    def test_names_its_permission_or_is_listed_as_public(self, app):
        silent = [rule.rule for rule in app.url_map.iter_rules() if not hasattr(view_of(app, rule), "permission")]

        assert silent == []

    def test_exactly_these_are_public(self, app):
        public = {
            (method, rule.rule)
            for rule, method in operations(app)
            if getattr(view_of(app, rule), "permission", None) is None
        }

        assert public == PUBLIC

    def test_every_permission_has_a_role_and_a_route(self, app):
        asked_for = {permission_of(app, rule) for rule, _ in operations(app)} - {None}

        assert asked_for | ASKED_FOR_BY_SERVICES == PERMISSIONS_OF[Role.ADMIN]
        assert asked_for & ASKED_FOR_BY_SERVICES == set()

    def test_a_request_without_a_token_is_a_401(self, app, client, place):
        answers = {
            f"{method} {rule.rule}": place.ask(client, method, rule).status_code
            for rule, method in operations(app)
            if permission_of(app, rule) is not None
        }

        assert answers
        assert {name: status for name, status in answers.items() if status != 401} == {}

    @pytest.mark.parametrize("role", list(Role))
    def test_is_open_to_exactly_the_roles_with_its_permission(self, app, client, factories, place, role):
        unexpected = {}
        for rule, method in operations(app):
            permission = permission_of(app, rule)
            if permission is None:
                continue
            # Each role gets a user and a token of its own, because some requests end a session or a user.
            user = factories.User(role=role)
            factories.ProjectMember(project_id=place.project.id, user_id=user.id)
            response = place.ask(client.acting_as(user), method, rule)
            is_let_in = response.status_code not in {401, 403}
            if is_let_in is not (permission in PERMISSIONS_OF[role]) or response.status_code >= 500:
                unexpected[f"{method} {rule.rule}"] = response.status_code

        assert unexpected == {}

    @pytest.mark.parametrize("role", ROLES_BELOW_ADMIN)
    def test_a_forbidden_role_is_refused_before_its_request_is_read(self, app, client, factories, place, role):
        """A 422 or a 404 would show a stranger what exists and which fields it has."""
        statuses = {}
        for rule, method in operations(app):
            permission = permission_of(app, rule)
            if permission is None or permission in PERMISSIONS_OF[role]:
                continue
            asking = client.acting_as(factories.User(role=role))
            response = place.ask(asking, method, rule, body={"nonsense": True}, missing=True)
            if response.status_code != 403:
                statuses[f"{method} {rule.rule}"] = response.status_code

        assert statuses == {}


class TestEveryRouteWithAnApiToken:
    @pytest.mark.parametrize("scope", list(TokenScope))
    def test_is_open_to_exactly_the_scopes_with_its_permission(self, app, client, factories, place, scope):
        unexpected = {}
        for rule, method in operations(app):
            permission = permission_of(app, rule)
            if permission is None:
                continue
            response = place.ask(client.with_api_token_of(factories.User(role=Role.ADMIN), scope), method, rule)
            is_let_in = response.status_code not in {401, 403}
            if is_let_in is not (permission in PERMISSIONS_OF_SCOPE[scope]) or response.status_code >= 500:
                unexpected[f"{method} {rule.rule}"] = response.status_code

        assert unexpected == {}

    @pytest.mark.parametrize("role", list(Role))
    def test_is_never_open_to_a_token_of_a_role_without_its_permission(self, app, client, factories, place, role):
        unexpected = {}
        for rule, method in operations(app):
            permission = permission_of(app, rule)
            if permission is None:
                continue
            user = factories.User(role=role)
            factories.ProjectMember(project_id=place.project.id, user_id=user.id)
            response = place.ask(client.with_api_token_of(user), method, rule)
            is_let_in = response.status_code not in {401, 403}
            is_allowed = permission in PERMISSIONS_OF[role] - NEVER_BY_TOKEN
            if is_let_in is not is_allowed or response.status_code >= 500:
                unexpected[f"{method} {rule.rule}"] = response.status_code

        assert unexpected == {}

    @pytest.mark.parametrize("scope", list(TokenScope))
    def test_a_missing_scope_is_refused_before_the_request_is_read(self, app, client, factories, place, scope):
        codes = {}
        token = client.with_api_token_of(factories.User(role=Role.ADMIN), scope)
        for rule, method in operations(app):
            permission = permission_of(app, rule)
            if permission is None or permission in PERMISSIONS_OF_SCOPE[scope]:
                continue
            response = place.ask(token, method, rule, body={"nonsense": True}, missing=True)
            if response.status_code != 403 or response.json.get("code", "insufficient_scope") != "insufficient_scope":
                codes[f"{method} {rule.rule}"] = response.status_code

        assert codes == {}

    @pytest.mark.parametrize("role", ROLES_BELOW_ADMIN)
    @pytest.mark.parametrize("operation", TASK_OPERATIONS)
    def test_does_not_lead_to_a_task_of_another_project(self, client, factories, place, session, role, operation):
        task = place.task_for(operation)
        before = state_of(session, task)

        response = ask_for(client.with_api_token_of(factories.User(role=role)), operation, task)

        assert response.status_code == (404 if role in MAY[operation] else 403)
        assert state_of(session, task) == before


class TestTasks:
    @pytest.mark.parametrize("role", list(Role))
    @pytest.mark.parametrize("operation", TASK_OPERATIONS)
    def test_the_role_decides_in_ones_own_project(self, client, factories, place, session, role, operation):
        user = factories.User(role=role)
        factories.ProjectMember(project_id=place.project.id, user_id=user.id)
        task = place.task_for(operation)
        before = state_of(session, task)

        response = ask_for(client.acting_as(user), operation, task)

        if role in MAY[operation]:
            assert response.status_code in {200, 204}
        else:
            assert response.status_code == 403
            assert state_of(session, task) == before

    @pytest.mark.parametrize("role", ROLES_BELOW_ADMIN)
    @pytest.mark.parametrize("operation", TASK_OPERATIONS)
    def test_a_stranger_does_not_find_a_task_of_another_project(
        self, client, factories, place, session, role, operation
    ):
        task = place.task_for(operation)
        before = state_of(session, task)

        response = ask_for(client.acting_as(factories.User(role=role)), operation, task)

        # Without the permission the answer is the same for every id, so it reveals nothing about the task.
        assert response.status_code == (404 if role in MAY[operation] else 403)
        assert task.title not in response.text
        assert state_of(session, task) == before

    @pytest.mark.parametrize("role", ROLES_BELOW_ADMIN)
    @pytest.mark.parametrize("operation", TASK_OPERATIONS)
    def test_a_hidden_task_is_answered_like_a_missing_one(self, client, factories, place, session, role, operation):
        stranger = client.acting_as(factories.User(role=role))
        hidden, absent = place.task_for(operation), Task(id=999_999_999)

        answers = [ask_for(stranger, operation, task) for task in (hidden, absent)]

        of_hidden, of_absent = (
            (response.status_code, response.text.replace(f"task {task.id}", "task"))
            for response, task in zip(answers, (hidden, absent), strict=True)
        )
        assert of_hidden == of_absent

    @pytest.mark.parametrize("operation", TASK_OPERATIONS)
    def test_a_removed_member_is_a_stranger_at_once(self, client, factories, place, session, admin, operation):
        manager = factories.User(role=Role.MANAGER)
        factories.ProjectMember(project_id=place.project.id, user_id=manager.id)
        task = place.task_for(operation)
        asking = client.acting_as(manager)
        assert asking.get("/api/v1/projects/OPS").status_code == 200

        client.acting_as(admin).delete(f"/api/v1/projects/OPS/members/{manager.username}")

        assert session.get(ProjectMember, (place.project.id, manager.id), populate_existing=True) is None
        assert ask_for(asking, operation, task).status_code == 404

    @pytest.mark.parametrize("role", ROLES_BELOW_ADMIN)
    @pytest.mark.parametrize(
        "path",
        [
            "/api/v1/tasks?include_total=true",
            "/api/v1/tasks?project=OPS",
            "/api/v1/tasks?q=hidden",
            "/api/v1/board",
            "/api/v1/board?project=OPS",
            "/api/v1/users/me/tasks",
            "/api/v1/task-logs?include_total=true",
            "/api/v1/task-logs?project=OPS",
            "/api/v1/task-logs/days",
            "/api/v1/projects",
            "/tasks",
            "/activetasks",
        ],
    )
    def test_no_list_shows_a_task_of_another_project(self, client, factories, place, role, path):
        # The lists of the daily log have something to hide.
        assert place.log_id
        # An admin looks first: what the cache keeps for the admin must not reach others.
        seen_by_admin = client.acting_as(factories.User(role=Role.ADMIN)).get(path)
        assert seen_by_admin.status_code == 200

        response = client.acting_as(factories.User(role=role)).get(path)

        assert response.status_code == 200
        for word in (place.task.title, "OPS", "Operations"):
            assert word not in response.text
        assert '"total":1' not in response.text.replace(" ", "")
        assert "task_count" not in response.text

    @pytest.mark.parametrize("role", [Role.MANAGER])
    def test_no_list_shows_a_deleted_task_of_another_project(self, client, factories, place, role):
        place.task_for("restore")

        response = client.acting_as(factories.User(role=role)).get("/api/v1/tasks?deleted=true&include_total=true")

        assert response.json == {"items": [], "next_cursor": None, "total": 0, "total_is_capped": False}

    @pytest.mark.parametrize("role", sorted(WRITERS - {Role.ADMIN}))
    def test_no_task_can_be_created_in_another_project(self, client, factories, place, session, role):
        asking = client.acting_as(factories.User(role=role))
        mine = factories.Task()
        before = state_of(session, mine)

        created = asking.post("/api/v1/tasks", {"title": "Mine", "project": "OPS"})
        moved = asking.patch(f"/api/v1/tasks/{mine.id}", {"project": "OPS"})
        replaced = asking.put(f"/api/v1/tasks/{mine.id}", {"title": "Mine", "project": "OPS"})

        for response in (created, moved, replaced):
            assert response.status_code == 422
            assert response.json["errors"] == [{"pointer": "/project", "detail": "there is no project OPS"}]
        assert state_of(session, mine) == before

    def test_no_csv_can_be_imported_into_another_project(self, client, factories, place):
        manager = client.acting_as(factories.User(role=Role.MANAGER))
        form = {"file": (io.BytesIO(b"task_name\nMine\n"), "mine.csv"), "project": "OPS"}

        response = manager.request("POST", "/api/v1/imports", data=form)

        assert response.status_code == 422
        assert manager.get("/api/v1/imports").json["items"] == []

    @pytest.mark.parametrize("path", ["/api/v1/task-logs/{log}", "/task/{log}", "/tasklogger/{log}"])
    @pytest.mark.parametrize("role", ROLES_BELOW_ADMIN)
    def test_no_row_of_another_projects_daily_log_is_shown(self, client, factories, place, path, role):
        response = client.acting_as(factories.User(role=role)).get(path.format(log=place.log_id))

        assert response.status_code == 404

    @pytest.mark.parametrize("path", ["/api/v1/imports/{id}", "/api/v1/imports/{id}/errors"])
    def test_no_import_into_another_project_is_shown(self, client, factories, place, path):
        manager = client.acting_as(factories.User(role=Role.MANAGER))

        assert manager.get(path.format(id=place.import_id)).status_code == 404
        assert manager.get("/api/v1/imports").json["items"] == []

    def test_a_stranger_cannot_be_assigned_a_task_of_the_project(self, client, factories, place):
        member, stranger = factories.User(), factories.User()
        factories.ProjectMember(project_id=place.project.id, user_id=member.id)

        response = client.acting_as(member).patch(f"/api/v1/tasks/{place.task.id}", {"assignee": stranger.username})

        assert response.status_code == 422


class TestUploads:
    @pytest.mark.parametrize("path", ["/upload-csv", "/api/v1/imports"])
    def test_a_forbidden_role_is_refused_before_its_body_is_checked(self, client, factories, path):
        viewer = client.acting_as(factories.User(role=Role.VIEWER))

        answers = [each.request("POST", path, data=b"no form", content_type="text/csv") for each in (client, viewer)]

        assert [answer.status_code for answer in answers] == [401, 403]


class TestTaskLogs:
    @pytest.mark.parametrize("path", ["/tasks", "/task/{}", "/tasklogger/{}"])
    def test_do_not_show_the_fields_of_a_task_that_has_moved_to_a_hidden_project(
        self, client, factories, services, session, clock, admin, path
    ):
        task = factories.Task(description="for all to see")
        clock.advance(minutes=1)
        client.acting_as(admin).post("/log-tasks")
        services.daily_log.log_due_days()
        log_id = session.scalar(select(TaskLog.id).where(TaskLog.task_id == task.id))
        factories.Project(key="SECRET")
        client.acting_as(admin).patch(f"/api/v1/tasks/{task.id}", {"project": "SECRET", "description": "top secret"})

        answer = client.acting_as(factories.User(role=Role.VIEWER)).get(path.format(log_id))

        assert answer.status_code == 200
        assert task.title in answer.text
        assert "top secret" not in answer.text


def ask_for(client, operation, task):
    method, path, body = TASK_OPERATIONS[operation]
    # Request ids of their own would make two answers differ.
    return client.request(method, path.format(id=task.id), json=body, headers={"X-Request-ID": "the-same"})


def state_of(session, task):
    session.refresh(task)
    return {column.key: getattr(task, column.key) for column in inspect(Task).column_attrs if column.key != "search"}


class Place:
    """A project that contains one of everything that a path can name."""

    def __init__(self, factories, client, services, clock, session):
        self._factories = factories
        self._session = session
        self._clock = clock
        self.project = factories.Project(key="OPS", name="Operations")
        self.task = factories.Task(
            project_id=self.project.id, title="Hidden from strangers", priority=TaskPriority.HIGH, revised_at=clock()
        )
        self.user = factories.User()
        factories.ProjectMember(project_id=self.project.id, user_id=factories.User(username=MEMBER).id)
        clock.advance(seconds=1)
        self._services = services
        self._client = client

    @cached_property
    def log_id(self):
        """The row of the task in the daily log."""
        self._admin.post("/log-tasks")
        self._services.daily_log.log_due_days()
        rows = self._admin.get("/tasks?per_page=200").json["tasks"]
        return next(row["id"] for row in rows if row["task_id"] == self.task.id)

    @cached_property
    def import_id(self):
        form = {"file": (io.BytesIO(b"task_name,status\nBad,asleep\n"), "bad.csv"), "project": "OPS"}
        return self._admin.request("POST", "/api/v1/imports", data=form).json["id"]

    @cached_property
    def _admin(self):
        return self._client.acting_as(self._factories.User(role=Role.ADMIN))

    def task_for(self, operation):
        """Make another task, deleted if the operation needs a deleted one."""
        deleted_at = self._clock() - timedelta(minutes=1) if operation == "restore" else None
        return self._factories.Task(project_id=self.project.id, title="Another hidden one", deleted_at=deleted_at)

    def ask(self, client, method, rule, *, body=None, missing=False):
        """Send a valid request to this route, or one about a `missing` resource."""
        return send(client, method, rule, path_of(rule, missing_value if missing else self._named), body=body)

    def _named(self, name):
        values = {
            "user_id": lambda: "me",
            "task_id": lambda: self._factories.Task(project_id=self.project.id).id,
            # The comment belongs to another task, so it is not found.
            "comment_id": lambda: self._factories.Comment(task_id=self.task.id, author_id=self.user.id).id,
            "log_id": lambda: self.log_id,
            "logger_id": lambda: self.log_id,
            "import_id": lambda: self.import_id,
            "key": lambda: self.project.key,
            "username": lambda: self.user.username,
            "session_id": lambda: self._factories.LoginSession(user_id=self.user.id).id,
            "token_id": lambda: self._factories.ApiToken(owner_id=self.user.id).id,
            "view_id": lambda: self._factories.SavedView(owner_id=self.user.id).id,
        }
        return str(values[name]())


def missing_value(name):
    """A value in a path that could be right."""
    return str(UUID(int=0)) if name == "session_id" else "999999999"


@pytest.fixture
def place(factories, client, services, clock, session):
    return Place(factories, client, services, clock, session)
