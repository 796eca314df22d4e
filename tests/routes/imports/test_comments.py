"""A file of comments, as the API takes it."""

import io

import pytest

from app.models.people.user import Role
from tests.routes.imports.uploads import DETAILS

PATH = "/api/v1/imports/comments"
HEADER = "task,external_ref,author,created_at,body"


class TestUpload:
    def test_is_an_import_with_a_report(self, as_manager, ref):
        response = send(as_manager, f"{HEADER}\n{ref},,ada,,One\n{ref},,ada,,\n")

        assert response.status_code == 201
        body = response.json
        assert body.keys() == DETAILS
        assert (body["kind"], body["created_count"], body["refused_count"]) == ("comments", 1, 1)
        assert response.headers["Location"] == f"/api/v1/imports/{body['id']}"
        (problem,) = as_manager.get(f"{response.headers['Location']}/errors").json["items"]
        assert problem["message"] == "line 3 (row 3 of the sheet), column body: is empty; a comment needs a text"
        comments = as_manager.get(f"/api/v1/tasks/{ref}/comments").json["items"]
        assert [(comment["author"], comment["body_html"]) for comment in comments] == [("ada", "<p>One</p>\n")]
        assert as_manager.get(f"/api/v1/tasks/{ref}").json["comment_count"] == 1

    def test_brings_an_export_back(self, as_manager, ref):
        as_manager.post(f"/api/v1/tasks/{ref}/comments", {"body": "=1+1"})
        exported = as_manager.get("/api/v1/comments/export").data

        outcome = send(as_manager, exported.decode()).json

        assert (outcome["created_count"], outcome["skipped_count"]) == (0, 1)
        assert as_manager.get("/api/v1/comments/export").data == exported

    def test_with_a_key_has_one_answer(self, as_manager, ref):
        headers = {"Idempotency-Key": "one"}
        first, second = (send(as_manager, f"{HEADER}\n{ref},,ada,,One\n", headers=headers).json for _ in range(2))

        assert first == second
        other = send(as_manager, f"{HEADER}\n{ref},,ada,,Two\n", headers=headers)
        assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")

    def test_of_other_columns_is_refused(self, as_manager):
        response = send(as_manager, "task_name\nOne\n")

        assert (response.status_code, response.json["code"]) == (422, "unreadable_csv")

    def test_into_a_project_that_is_not_there_is_refused(self, as_manager):
        response = send(as_manager, f"{HEADER}\n", project="NONE")

        assert response.json["errors"] == [{"pointer": "/project", "detail": "there is no project NONE"}]

    def test_may_be_checked_first(self, as_manager, ref):
        response = send(as_manager, f"{HEADER}\n{ref},,ada,,One\n", dry_run="true")

        assert (response.json["is_dry_run"], response.json["created_count"]) == (True, 1)
        assert as_manager.get(f"/api/v1/tasks/{ref}/comments").json["items"] == []


def send(client, content, *, headers=None, **form):
    file = (io.BytesIO(content.encode()), "comments.csv")
    return client.request("POST", PATH, data={**form, "file": file}, headers=headers)


@pytest.fixture
def as_manager(client, factories):
    return client.acting_as(factories.User(role=Role.MANAGER))


@pytest.fixture
def ref(as_manager):
    return as_manager.post("/api/v1/tasks", {"title": "One"}).json["ref"]
