"""If-Match on users, projects and members, and a tracker that requires it everywhere."""

from dataclasses import replace

import pytest

from app.models.imports.task_import import ImportMode
from tests.services.imports.uploading import upload

TASKS = "/api/v1/tasks"
USERS = "/api/v1/users"
PROJECTS = "/api/v1/projects"


class TestUsers:
    def test_a_change_of_the_version_that_was_read_is_made_once(self, as_admin, user):
        path, tag = read(as_admin, f"{USERS}/{user.id}")

        first = as_admin.patch(path, {"role": "viewer"}, headers={"If-Match": tag})
        second = as_admin.patch(path, {"role": "manager"}, headers={"If-Match": tag})

        assert (first.status_code, first.json["role"]) == (200, "viewer")
        assert first.headers["ETag"] != tag
        assert (second.status_code, second.json["code"]) == (412, "precondition_failed")
        assert as_admin.get(path).json == first.json

    def test_a_user_who_has_changed_is_not_deactivated(self, as_admin, user):
        path, tag = read(as_admin, f"{USERS}/{user.id}")
        as_admin.patch(path, {"time_zone": "Europe/Berlin"})

        assert as_admin.delete(path, headers={"If-Match": tag}).status_code == 412
        assert as_admin.get(path).json["is_active"]
        assert as_admin.delete(path, headers={"If-Match": read(as_admin, path)[1]}).status_code == 204

    def test_a_version_that_is_known_already_is_not_sent_again(self, as_user):
        for path in ("/api/v1/auth/me", f"{USERS}/me"):
            tag = as_user.get(path).headers["ETag"]

            response = as_user.get(path, headers={"If-None-Match": tag})

            assert (response.status_code, response.data) == (304, b"")


class TestProjects:
    def test_a_name_is_changed_from_the_version_that_was_read(self, as_admin, ops):
        path, tag = read(as_admin, f"{PROJECTS}/OPS")

        first = as_admin.patch(path, {"name": "First"}, headers={"If-Match": tag})
        second = as_admin.patch(path, {"name": "Second"}, headers={"If-Match": tag})

        assert (first.status_code, second.status_code) == (200, 412)
        assert as_admin.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
        assert as_admin.get(path).json["name"] == "First"

    def test_a_change_of_the_members_is_a_change_of_the_project(self, as_admin, ops, user):
        path, tag = read(as_admin, f"{PROJECTS}/OPS")
        member = f"{path}/members/{user.username}"

        assert as_admin.put(member, headers={"If-Match": tag}).status_code == 204
        assert as_admin.put(member, headers={"If-Match": tag}).status_code == 412
        assert as_admin.delete(member, headers={"If-Match": tag}).status_code == 412
        assert as_admin.delete(member, headers={"If-Match": read(as_admin, path)[1]}).status_code == 204

    def test_a_merge_of_members_is_a_change_of_their_projects(self, as_admin, factories, ops):
        web = factories.Project(key="WEB")
        ada = factories.User(username="ada")
        grace = factories.User(username="Grace", email=None, password_hash=None, is_active=False)
        factories.ProjectMember(project_id=ops.id, user_id=grace.id)
        factories.ProjectMember(project_id=web.id, user_id=ada.id)
        path, tag = read(as_admin, f"{PROJECTS}/OPS")
        before = as_admin.get(path).json["updated_at"]
        other_tag = read(as_admin, f"{PROJECTS}/WEB")[1]

        as_admin.post(f"{USERS}/{grace.id}/merge", {"into": "ada"})

        assert read(as_admin, path)[1] != tag
        assert as_admin.get(path).json["updated_at"] != before
        assert read(as_admin, f"{PROJECTS}/WEB")[1] == other_tag
        assert as_admin.delete(f"{path}/members/ada", headers={"If-Match": tag}).status_code == 412

    @pytest.mark.parametrize("mode", ["skip_bad", "all_or_nothing"])
    def test_an_import_that_adds_members_changes_the_project(self, as_admin, services, boss, ops, mode):
        path, tag = read(as_admin, f"{PROJECTS}/OPS")
        lines = ["task_name,assignee", "1,Grace", "2,Zoe"]
        options = {"project": "OPS", "mode": ImportMode(mode)}

        upload(services.imports, boss, *lines, **options)

        changed = read(as_admin, path)[1]
        assert changed != tag
        assert as_admin.patch(path, {"name": "New"}, headers={"If-Match": tag}).status_code == 412

        # Its numbers of tasks have changed, and the version has not.
        upload(services.imports, boss, *lines, "3,grace", **options)
        assert as_admin.patch(path, {"name": "New"}, headers={"If-Match": changed}).status_code == 200

    def test_adding_a_member_again_and_a_new_task_leave_the_version(self, as_admin, ops, user):
        member = f"{PROJECTS}/OPS/members/{user.username}"
        as_admin.put(member)
        path, tag = read(as_admin, f"{PROJECTS}/OPS")

        as_admin.put(member)
        as_admin.delete(f"{PROJECTS}/OPS/members/{as_admin.get(f'{USERS}/me').json['username']}")
        as_admin.post(TASKS, {"title": "New", "project": "OPS"})

        assert as_admin.patch(path, {"name": "New"}, headers={"If-Match": tag}).status_code == 200

    @pytest.mark.parametrize(("key", "status"), [("GEN", 403), ("OPS", 404)])
    def test_a_stale_version_tells_nothing_to_those_who_may_not_change_it(self, as_manager, ops, key, status):
        stale = {"If-Match": '"0.0"'}

        assert as_manager.patch(f"{PROJECTS}/{key}", {"name": "Mine"}, headers=stale).status_code == status


class TestRequired:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PUT", "/tasks/{task}", {"title": "New"}),
            ("PATCH", "/tasks/{task}", {"title": "New"}),
            ("PATCH", "/tasks/{task}/status", {"status": "done"}),
            ("PUT", "/tasks/{task}/status", {"status": "done"}),
            ("DELETE", "/tasks/{task}", None),
            ("PATCH", "/users/{user}", {"role": "viewer"}),
            ("DELETE", "/users/{user}", None),
            ("PATCH", "/projects/OPS", {"name": "New"}),
            ("PUT", "/projects/OPS/members/{name}", None),
            ("DELETE", "/projects/OPS/members/{name}", None),
        ],
    )
    def test_a_change_without_a_version_is_refused(self, as_admin, factories, ops, user, method, path, body):
        task = factories.Task(project_id=ops.id)
        path = "/api/v1" + path.format(task=task.id, user=user.id, name=user.username)
        shown = path.partition("/members")[0].removesuffix("/status")

        refused = as_admin.request(method, path, json=body)
        tag = as_admin.get(shown).headers["ETag"]
        done = as_admin.request(method, path, json=body, headers={"If-Match": tag})

        assert (refused.status_code, refused.json["code"]) == (428, "precondition_required")
        assert done.status_code in {200, 204}

    def test_a_change_of_any_version_says_so(self, as_admin, factories):
        path = f"{TASKS}/{factories.Task().id}"

        assert as_admin.patch(path, {"title": "New"}, headers={"If-Match": "*"}).status_code == 200

    def test_the_classic_api_works_as_before(self, as_admin, factories):
        path = f"/task/{factories.Task().id}"

        assert as_admin.put(path, {"task_name": "New"}).status_code == 200
        assert as_admin.delete(path).status_code == 200

    def test_what_has_no_version_needs_none(self, as_user):
        made = as_user.post("/api/v1/auth/tokens", {"name": "script", "scopes": ["tasks:read"]})

        assert as_user.delete(f"/api/v1/auth/tokens/{made.json['id']}").status_code == 204

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, require_if_match=True)


def read(client, path):
    return path, client.get(path).headers["ETag"]
