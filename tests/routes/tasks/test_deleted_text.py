"""Users who may not see deleted tasks see no more of one than the daily log keeps of it."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from app.models.daily_log.task_log import TaskLog
from app.models.login.api_token import TokenScope
from app.models.people.user import Role

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
AS_OF = "/api/v1/tasks?as_of=2026-03-10T12:00:30Z"
# Text of the description, a label and the external reference; none of it is in the log.
SECRETS = ("swordfish", "hushhush", "vault-7")
PATHS = [
    "/task/{log}",
    "/tasklogger/{log}",
    "/tasks",
    "/tasks?date=2026-03-10",
    "/activetasks",
    AS_OF,
    "/api/v1/users/me/tasks?as_of=2026-03-10T12:00:30Z",
    "/api/v1/tasks",
    "/api/v1/tasks?deleted=true",
    "/api/v1/tasks/export",
    "/api/v1/tasks/export?deleted=true",
    "/api/v1/tasks/{task}",
    "/api/v1/tasks/{task}/history",
    "/api/v1/task-logs",
    "/api/v1/task-logs/{log}",
    "/api/v1/task-logs/diff?from=2026-03-10&to=2026-03-10",
    "/api/v1/task-logs/days",
    "/api/v1/reports/flow",
    "/api/v1/reports/aging",
]


class TestDeletedTask:
    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER])
    def test_no_route_shows_more_than_the_log_keeps(self, client, as_manager, factories, deleted, role):
        # An answer that was cached for a user who sees more must not reach others.
        before_them, as_them = as_manager, client.acting_as(factories.User(role=role))

        assert shown_at(before_them, deleted, "swordfish") != []
        assert shown_at(as_them, deleted, *SECRETS) == []

    def test_no_route_shows_more_to_a_token_that_may_not_restore_it(self, client, as_manager, mia, deleted):
        """The manager's role decides the text of statements, and the scopes of the manager's token decide it too."""
        as_token = client.with_api_token_of(mia, TokenScope.TASKS_READ, TokenScope.LOGS_READ)

        assert shown_at(as_manager, deleted, "swordfish") != []
        assert shown_at(as_token, deleted, *SECRETS) == []
        assert shown_at(as_manager, deleted, "swordfish") != []

    @pytest.mark.parametrize("query", ["q=swordfish", "label=hushhush"])
    def test_no_query_finds_it_by_its_text(self, as_viewer, as_manager, deleted, query):
        assert len(as_manager.get(f"{AS_OF}&{query}").json["items"]) == 1
        assert as_viewer.get(f"{AS_OF}&{query}").json["items"] == []

    def test_the_fields_of_the_log_are_shown(self, as_viewer, deleted):
        row = as_viewer.get("/task/{log}".format(**deleted)).json["task"]
        (item,) = as_viewer.get(AS_OF).json["items"]

        assert (row["task_name"], row["priority"], row["description"], row["created_at"]) == (
            *("Open the vault", "high", ""),
            None,
        )
        assert (item["title"], item["priority"], item["description"]) == ("Open the vault", "high", "")
        assert (item["labels"], item["external_ref"]) == ([], None)
        assert as_viewer.get(f"{AS_OF}&q=vault").json["items"] == [item]

    def test_managers_see_the_whole_text(self, as_viewer, as_manager, deleted):
        shown_at(as_viewer, deleted)

        assert {"/task/{log}", "/tasklogger/{log}", "/tasks", AS_OF} <= set(shown_at(as_manager, deleted, "swordfish"))

    def test_everybody_sees_it_again_after_it_is_restored(self, as_viewer, as_manager, deleted):
        as_manager.post("/api/v1/tasks/{task}/restore".format(**deleted))

        for path in ("/task/{log}", "/tasks", AS_OF):
            assert "swordfish" in as_viewer.get(path.format(**deleted)).text

    def test_a_purged_task_shows_no_more_than_the_log_keeps(self, as_viewer, session, deleted):
        connection = session.connection()
        connection.exec_driver_sql("DELETE FROM tasks WHERE id = %s", (deleted["task"],))

        for path in ("/task/{log}", "/tasks", AS_OF):
            assert "swordfish" not in as_viewer.get(path.format(**deleted)).text


class TestTaskOfAProjectThatTheUserHasLeft:
    def test_nothing_is_shown(self, as_manager, as_admin, left):
        assert shown_at(as_admin, left, "swordfish") != []
        assert shown_at(as_manager, left, *SECRETS, "Open the vault") == []


def shown_at(client, ids, *words):
    """List the paths whose answer contains one of the words."""
    shown = []
    for path in PATHS:
        response = client.get(path.format(**ids))
        assert response.status_code in {200, 403, 404}
        if any(word in response.text for word in words):
            shown.append(path)
    return shown


def log_a_task(client, services, session, clock, project="GEN"):
    """Log a task with secrets; return its id and that of its log row. The clock then stands a minute past noon."""
    task = client.post(
        "/api/v1/tasks",
        {
            "title": "Open the vault",
            "description": "the password is swordfish",
            "labels": ["hushhush"],
            "external_ref": "vault-7",
            "priority": "high",
            "project": project,
        },
    ).json
    clock.advance(minutes=1)
    client.post("/log-tasks")
    services.daily_log.log_due_days()
    return {"task": task["id"], "log": session.scalars(select(TaskLog.id)).one()}


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def mia(factories):
    user = factories.User(username="mia", role=Role.MANAGER)
    factories.ProjectMember(project_id=factories.Project(key="OPS").id, user_id=user.id)
    return user


@pytest.fixture
def as_manager(client, mia, clock):
    return client.acting_as(mia)


@pytest.fixture
def deleted(as_manager, services, session, clock):
    """A task that was logged and then deleted."""
    ids = log_a_task(as_manager, services, session, clock)
    assert as_manager.delete(f"/api/v1/tasks/{ids['task']}").status_code == 204
    return ids


@pytest.fixture
def left(as_manager, as_admin, services, session, clock):
    """A task that was logged in a project that the manager is no longer in."""
    ids = log_a_task(as_manager, services, session, clock, project="OPS")
    assert as_admin.delete("/api/v1/projects/OPS/members/mia").status_code == 204
    return ids
