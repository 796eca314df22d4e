"""Archiving by the API: one request that works, and each refusal."""

import io

import pytest

PROJECTS = "/api/v1/projects"
TASKS = "/api/v1/tasks"


class TestArchive:
    def test_and_unarchive(self, as_admin, ops):
        archived = as_admin.post(f"{PROJECTS}/OPS/archive", None)
        listed = [project["key"] for project in as_admin.get(f"{PROJECTS}?archived=true").json["items"]]
        restored = as_admin.post(f"{PROJECTS}/ops/unarchive", None)

        assert (archived.status_code, restored.status_code) == (200, 200)
        assert archived.json["archived_at"] is not None
        assert restored.json["archived_at"] is None
        assert archived.headers["ETag"] != restored.headers["ETag"]
        assert listed == ["OPS"]

    def test_a_user_may_not(self, as_user):
        assert as_user.post(f"{PROJECTS}/GEN/archive", None).status_code == 403

    def test_not_gen(self, as_admin):
        assert as_admin.post(f"{PROJECTS}/GEN/archive", None).status_code == 409

    @pytest.mark.parametrize("act", ["archive", "unarchive"])
    def test_an_unknown_project_is_a_404(self, as_manager, ops, act):
        assert as_manager.post(f"{PROJECTS}/OPS/{act}", None).status_code == 404


class TestReadOnly:
    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "once"}])
    def test_a_new_task_is_a_409_with_a_code(self, as_admin, archived, headers):
        response = as_admin.post(TASKS, {"title": "Two", "project": "OPS"}, headers=headers)

        assert (response.status_code, response.json["code"]) == (409, "project_archived")
        assert response.json["detail"] == "the project OPS is archived, so it cannot be changed"

    def test_so_is_a_change_by_the_classic_api(self, as_admin, archived):
        response = as_admin.request("PUT", f"/task/{archived.id}", json={"task_name": "Two"})

        assert (response.status_code, set(response.json)) == (409, {"error"})

    def test_so_is_an_upload(self, as_admin, archived):
        form = {"project": "OPS", "file": (io.BytesIO(b"task_name\nOne\n"), "one.csv")}
        response = as_admin.request("POST", "/api/v1/imports", data=form)

        assert (response.status_code, response.json["code"]) == (409, "project_archived")


class TestLists:
    def test_forget_cached_pages(self, as_admin, factories, ops):
        factories.Task(project_id=ops.id)
        pages = [len(as_admin.get(TASKS).json["items"])]
        for act in ("archive", "unarchive"):
            as_admin.post(f"{PROJECTS}/OPS/{act}", None)
            pages.append(len(as_admin.get(TASKS).json["items"]))

        assert pages == [1, 0, 1]

    def test_of_a_user_leave_them_out_too(self, as_admin, archived, factories):
        path = f"/api/v1/users/{archived.assignee_id}/tasks"

        assert as_admin.get(path).json["items"] == []
        assert len(as_admin.get(f"{path}?archived=true").json["items"]) == 1

    @pytest.mark.parametrize("query", ["archived=perhaps", "archived="])
    def test_an_invalid_filter_is_a_422(self, as_admin, query):
        assert as_admin.get(f"{TASKS}?{query}").status_code == 422


@pytest.fixture
def archived(as_admin, factories, ops):
    """A task of OPS, which is archived."""
    task = factories.Task(project_id=ops.id, assignee_id=factories.User().id)
    as_admin.post(f"{PROJECTS}/OPS/archive", None)
    return task
