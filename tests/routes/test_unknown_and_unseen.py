"""The answer about an invisible resource equals the answer about a missing one, word for word."""

import re

import pytest

from app.models.people.user import Role

UNSEEN, UNKNOWN = "HIDDEN", "ABSENT"


class TestProjects:
    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER, Role.MANAGER])
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/api/v1/projects/{key}", None),
            ("PATCH", "/api/v1/projects/{key}", {"name": "Mine"}),
            ("GET", "/api/v1/projects/{key}/members", None),
            ("PUT", "/api/v1/projects/{key}/members/outsider", None),
            ("DELETE", "/api/v1/projects/{key}/members/outsider", None),
            ("GET", "/api/v1/tasks?project={key}", None),
            ("GET", "/api/v1/tasks?project={key}&include_total=true", None),
            ("GET", "/api/v1/tasks/export?project={key}", None),
            ("GET", "/api/v1/tasks?ref={key}-1", None),
            ("GET", "/api/v1/tasks/{key}-1", None),
            ("GET", "/api/v1/tasks/{key}-1?expand=project", None),
            ("GET", "/api/v1/tasks/{key}-1/history", None),
            ("PUT", "/api/v1/tasks/{key}-1", {"title": "Mine"}),
            ("PATCH", "/api/v1/tasks/{key}-1", {"title": "Mine"}),
            ("PATCH", "/api/v1/tasks/{key}-1/status", {"status": "done"}),
            ("DELETE", "/api/v1/tasks/{key}-1", None),
            ("POST", "/api/v1/tasks/{key}-1/restore", None),
            ("POST", "/api/v1/tasks", {"title": "x", "project": "{key}"}),
            ("GET", "/api/v1/task-logs?project={key}", None),
            ("GET", "/api/v1/task-logs/days?project={key}", None),
            ("GET", "/api/v1/task-logs/diff?from=2026-01-01&to=2026-01-02&project={key}", None),
            ("GET", "/api/v1/reports/flow?project={key}", None),
            ("GET", "/api/v1/reports/cycle-time?project={key}", None),
            ("GET", "/api/v1/reports/aging?project={key}", None),
            ("GET", "/api/v1/imports?project={key}", None),
        ],
    )
    def test_an_invisible_project_is_like_a_missing_one(self, client, factories, role, method, path, body):
        hidden = factories.Project(key=UNSEEN)
        factories.Task(project_id=hidden.id)
        member = client.acting_as(factories.User(username="outsider", role=role))

        def ask(key):
            request_body = {**body, "project": key} if body and "project" in body else body
            response = member.request(method, path.format(key=key), json=request_body)
            return response.status_code, _comparable_text(response, key)

        assert ask(UNSEEN) == ask(UNKNOWN)

    def test_an_upload_into_an_invisible_project_is_like_one_into_a_missing_one(self, client, factories):
        factories.Project(key=UNSEEN)
        manager = client.acting_as(factories.User(role=Role.MANAGER))

        answers = [
            manager.request(
                "POST",
                "/api/v1/imports",
                data={"project": key, "file": (b"title\nx\n", "tasks.csv")},
                content_type="multipart/form-data",
            )
            for key in (UNSEEN, UNKNOWN)
        ]

        assert answers[0].status_code == answers[1].status_code
        assert _comparable_text(answers[0], UNSEEN) == _comparable_text(answers[1], UNKNOWN)


class TestPeople:
    @pytest.mark.parametrize("role", [Role.USER, Role.MANAGER])
    def test_a_user_outside_the_project_is_like_a_missing_one(self, client, factories, role):
        project = factories.Project(key="OPS")
        factories.User(username="stranger")
        factories.User(username="departed", is_active=False)
        user = factories.User(role=role)
        factories.ProjectMember(project_id=project.id, user_id=user.id)
        task = factories.Task(project_id=project.id)
        member = client.acting_as(user)

        created = {
            _comparable_text(member.post("/api/v1/tasks", {"title": "x", "project": "OPS", "assignee": name}), name)
            for name in ("stranger", "STRANGER", "departed", "nobody")
        }
        changed = {
            _comparable_text(member.patch(f"/api/v1/tasks/{task.id}", {"assignee": name}), name)
            for name in ("stranger", "departed", "nobody")
        }

        assert len(created) == len(changed) == 1

    def test_the_account_of_another_user_is_like_a_missing_one(self, client, factories):
        other = factories.User()
        member = client.acting_as(factories.User(role=Role.USER))

        answers = [member.get(f"/api/v1/users/{user_id}") for user_id in (other.id, 10**9)]

        assert answers[0].status_code == answers[1].status_code == 403
        assert _comparable_text(answers[0], "") == _comparable_text(answers[1], "")

    def test_the_tasks_of_an_invisible_user_are_like_those_of_a_missing_one(self, client, factories):
        other = factories.User()
        member = client.acting_as(factories.User(role=Role.USER))

        answers = [member.get(f"/api/v1/users/{user_id}/tasks") for user_id in (other.id, 10**9)]

        assert answers[0].status_code == answers[1].status_code
        assert answers[0].json == answers[1].json


def _comparable_text(response, name):
    """Return the answer without the name that was asked for and the values that differ in each request."""
    text = re.sub(r'"request_id":"[^"]*"', "", response.text)
    return text.replace(name, "…") if name else text
