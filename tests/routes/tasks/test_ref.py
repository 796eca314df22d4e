"""A task by its ref, in every path that takes its id."""

import pytest

from app.models.people.user import Role
from tests.routes.tasks.task_requests import TASKS, ids_of


class TestRef:
    @pytest.mark.parametrize("ref", ["OPS-1", "ops-1", "Ops-1", "OPS-001"])
    def test_shows_the_same_as_the_id(self, as_member, task, ref):
        by_id, by_ref = as_member.get(f"{TASKS}/{task.id}"), as_member.get(f"{TASKS}/{ref}")

        assert (by_ref.status_code, by_ref.json, by_ref.headers["ETag"]) == (200, by_id.json, by_id.headers["ETag"])

    def test_a_client_with_this_version_gets_no_body(self, as_member, task):
        etag = as_member.get(f"{TASKS}/ops-1").headers["ETag"]

        assert as_member.get(f"{TASKS}/OPS-1", headers={"If-None-Match": etag}).status_code == 304

    @pytest.mark.parametrize(
        ("method", "path", "body", "changed"),
        [
            ("PUT", "", {"title": "New", "description": "all of it"}, {"title": "New", "description": "all of it"}),
            ("PATCH", "", {"title": "New"}, {"title": "New"}),
            ("PUT", "/status", {"status": "done"}, {"status": "done"}),
            ("PATCH", "/status", {"status": "blocked"}, {"status": "blocked"}),
        ],
    )
    def test_changes_the_task(self, as_member, task, method, path, body, changed):
        response = as_member.request(method, f"{TASKS}/ops-1{path}", json=body)

        assert response.status_code == 200
        assert {name: as_member.get(f"{TASKS}/{task.id}").json[name] for name in changed} == changed

    def test_a_precondition_holds_for_the_task_and_not_for_its_ref(self, as_member, task):
        etag = as_member.get(f"{TASKS}/{task.id}").headers["ETag"]

        first = as_member.patch(f"{TASKS}/ops-1", {"title": "New"}, headers={"If-Match": etag})
        second = as_member.patch(f"{TASKS}/ops-1", {"title": "Newer"}, headers={"If-Match": etag})

        assert (first.status_code, second.status_code) == (200, 412)

    def test_deletes_and_restores_the_task(self, as_admin, task):
        deleted = as_admin.delete(f"{TASKS}/ops-1")
        is_listed = task.id in ids_of(as_admin.get(f"{TASKS}?deleted=true"))
        restored = as_admin.post(f"{TASKS}/ops-1/restore", None)

        assert (deleted.status_code, is_listed, restored.status_code) == (204, True, 200)
        assert restored.json["deleted_at"] is None

    def test_shows_the_history(self, as_member, task):
        as_member.patch(f"{TASKS}/ops-1", {"title": "New"})

        by_ref = as_member.get(f"{TASKS}/ops-1/history?limit=1")

        assert by_ref.status_code == 200
        assert by_ref.json == as_member.get(f"{TASKS}/{task.id}/history?limit=1").json

    def test_a_change_is_seen_in_lists_at_once(self, as_member, task):
        as_member.get(TASKS)
        as_member.patch(f"{TASKS}/ops-1", {"title": "New"})

        assert as_member.get(TASKS).json["items"][0]["title"] == "New"

    def test_moves_with_the_task_to_another_project(self, as_member, task):
        new_ref = as_member.patch(f"{TASKS}/ops-1", {"project": "gen"}).json["ref"]

        assert as_member.get(f"{TASKS}/{new_ref}").json["id"] == task.id
        moved = as_member.get(f"{TASKS}/ops-1?fields=id,title")
        assert (moved.status_code, moved.headers["Location"]) == (301, f"{TASKS}/{new_ref}?fields=id,title")

    @pytest.mark.parametrize("ref", ["OPS-2", "OPT-1", "GEN-1", "OPS-0", "OPS-" + "9" * 18])
    def test_an_unknown_ref_is_not_found(self, as_member, task, ref):
        response = as_member.get(f"{TASKS}/{ref.lower()}")

        assert (response.status_code, response.json["detail"]) == (404, f"there is no task {ref}")

    @pytest.mark.parametrize(
        "path", ["OPS-", "OPS-1-1", "-1", "OPS-1.0", "OPS--1", "O-1", "OPS-x", "%C3%9F-1", "OPS-" + "9" * 19, "OPS 1"]
    )
    def test_anything_else_is_not_found(self, as_member, task, path):
        assert as_member.get(f"{TASKS}/{path}").status_code == 404

    def test_a_deleted_task_is_shown_only_to_roles_that_may_restore_it(
        self, as_member, as_admin, factories, ops, clock
    ):
        task = factories.Task(project_id=ops.id, deleted_at=clock())
        ref = f"OPS-{task.number}"

        assert as_member.get(f"{TASKS}/{ref}").status_code == 404
        assert as_member.get(f"{TASKS}/{ref}/history").status_code == 404
        assert as_admin.get(f"{TASKS}/{ref}").json["deleted_at"] is not None

    def test_the_export_is_not_a_ref(self, as_member, task):
        assert as_member.get(f"{TASKS}/export").content_type.startswith("text/csv")


@pytest.fixture
def task(factories, ops):
    return factories.Task(project_id=ops.id, title="Old")


@pytest.fixture
def as_member(client, factories, ops):
    user = factories.User(role=Role.USER)
    factories.ProjectMember(project_id=ops.id, user_id=user.id)
    return client.acting_as(user)
