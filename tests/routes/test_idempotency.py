"""POST requests with an Idempotency-Key: done once, answered alike."""

import hashlib
import io

import pytest
from sqlalchemy import func, select

from app.models.idempotency import KeptAnswer
from app.models.people.user import Role
from app.models.tasks.task import Task
from tests.factories import PASSWORD

KEY = {"Idempotency-Key": "4f1c0d5e"}
TASK = {"title": "Sent twice", "labels": ["once"]}


class TestRepetition:
    def test_gets_the_same_answer_byte_for_byte_and_has_no_effect(self, mia, session):
        first = mia.post("/api/v1/tasks", json=TASK, headers=KEY)
        again = mia.post("/api/v1/tasks", json=TASK, headers=KEY)

        assert (first.status_code, again.status_code) == (201, 201)
        assert again.data == first.data
        for name in ("Location", "ETag", "Content-Type"):
            assert again.headers[name] == first.headers[name]
        assert "Idempotency-Replayed" not in first.headers
        assert again.headers["Idempotency-Replayed"] == "true"
        assert session.scalar(select(func.count()).select_from(Task)) == 1

    def test_works_for_every_kind_of_post(self, client, factories, session):
        admin = client.acting_as(factories.User(role=Role.ADMIN))
        task = factories.Task(deleted_at=func.now())
        posts = {
            "/api/v1/users": {
                "username": "noah",
                "email": "noah@example.com",
                "password": "a long enough word",
                "role": "user",
            },
            "/api/v1/projects": {"key": "NEW", "name": "New"},
            f"/api/v1/tasks/{task.id}/restore": None,
            "/api/v1/task-logs/runs": {},
            "/task": {"task_name": "Classic"},
            "/user": {
                "username": "olga",
                "email": "olga@example.com",
                "password": "a long enough word",
                "role": "user",
            },
            "/log-tasks": None,
        }

        for number, (path, body) in enumerate(posts.items()):
            headers = {"Idempotency-Key": f"key {number}"}
            first, again = (admin.post(path, json=body, headers=headers) for _ in range(2))
            assert first.status_code < 300, (path, first.data)
            assert (again.status_code, again.data) == (first.status_code, first.data), path

        assert session.scalar(select(func.count()).select_from(KeptAnswer)) == len(posts)

    def test_with_another_body_is_refused(self, mia):
        mia.post("/api/v1/tasks", json=TASK, headers=KEY)

        answer = mia.post("/api/v1/tasks", json={"title": "Another"}, headers=KEY)

        assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")

    def test_to_another_path_is_refused(self, mia):
        mia.post("/api/v1/tasks", json=TASK, headers=KEY)

        answer = mia.post("/api/v1/projects", json=TASK, headers=KEY)

        assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")

    def test_by_another_user_is_another_request(self, mia, client, factories):
        theirs = client.acting_as(factories.User(role=Role.MANAGER))

        ids = {each.post("/api/v1/tasks", json=TASK, headers=KEY).json["id"] for each in (mia, theirs)}

        assert len(ids) == 2

    def test_after_a_day_is_a_new_request(self, mia, clock):
        first = mia.post("/api/v1/tasks", json=TASK, headers=KEY)
        clock.advance(hours=24, seconds=1)

        again = mia.post("/api/v1/tasks", json=TASK, headers=KEY)

        assert again.json["id"] != first.json["id"]

    def test_after_an_error_is_a_new_request(self, mia, factories):
        refused = mia.post("/api/v1/projects", json={"key": "no", "name": ""}, headers=KEY)
        taken = mia.post("/api/v1/projects", json={"key": "GEN", "name": "Taken"}, headers=KEY)
        corrected = mia.post("/api/v1/projects", json={"key": "NEW", "name": "New"}, headers=KEY)

        assert [refused.status_code, taken.status_code, corrected.status_code] == [422, 409, 201]

    def test_is_still_checked_for_permission(self, client, factories, session):
        user = factories.User(role=Role.MANAGER)
        caller = client.acting_as(user)
        caller.post("/api/v1/projects", json={"key": "NEW", "name": "New"}, headers=KEY)
        user.role = Role.VIEWER
        session.commit()

        assert (
            client.acting_as(user).post("/api/v1/projects", json={"key": "NEW", "name": "New"}, headers=KEY).status_code
            == 403
        )

    def test_in_a_project_that_the_user_has_left_still_gets_their_own_answer(self, client, factories):
        project, user = factories.Project(key="OPS"), factories.User()
        factories.ProjectMember(project_id=project.id, user_id=user.id)
        caller, body = client.acting_as(user), {**TASK, "project": "OPS"}
        first = caller.post("/api/v1/tasks", json=body, headers=KEY)
        admin = client.acting_as(factories.User(role=Role.ADMIN))
        admin.delete(f"/api/v1/projects/OPS/members/{user.username}")

        assert caller.post("/api/v1/tasks", json=body, headers=KEY).data == first.data
        assert caller.post("/api/v1/tasks", json=body).status_code == 422

    def test_no_digest_that_anybody_could_compute_is_stored(self, mia, session):
        body = b'{"title": "Guess me"}'
        mia.request("POST", "/api/v1/tasks", data=body, content_type="application/json", headers=KEY)

        fingerprint = session.scalar(select(KeptAnswer.fingerprint))

        assert fingerprint != hashlib.sha256(b"POST /api/v1/tasks?\n" + body).digest()
        assert len(fingerprint) == hashlib.sha256().digest_size


class TestKey:
    @pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9", "tab\there"])
    def test_must_be_printable_and_not_too_long(self, mia, key):
        answer = mia.post("/api/v1/tasks", json=TASK, headers={"Idempotency-Key": key})

        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/Idempotency-Key")

    @pytest.mark.parametrize("key", ["", "x" * 256])
    def test_of_any_form_means_nothing_to_other_methods_and_uploads(self, mia, key):
        task = mia.post("/api/v1/tasks", json=TASK).json
        headers, upload = {"Idempotency-Key": key}, {"file": (io.BytesIO(b"task_name\nOne\n"), "one.csv")}

        assert mia.get(f"/api/v1/tasks/{task['id']}", headers=headers).status_code == 200
        assert mia.delete(f"/api/v1/tasks/{task['id']}", headers=headers).status_code == 204
        assert mia.request("POST", "/upload-csv", data=upload, headers=headers).status_code == 200

    def test_means_nothing_to_other_methods(self, mia):
        task = mia.post("/api/v1/tasks", json=TASK).json

        for title in ("First", "Second"):
            answer = mia.patch(f"/api/v1/tasks/{task['id']}", json={"title": title}, headers=KEY)
            assert answer.json["title"] == title

    def test_no_answer_with_a_secret_is_kept(self, client, factories, session):
        user = factories.User()

        answer = client.post("/api/v1/auth/login", json={"username": user.username, "password": PASSWORD}, headers=KEY)

        assert answer.status_code == 200
        assert session.scalar(select(func.count()).select_from(KeptAnswer)) == 0


@pytest.fixture
def mia(client, factories):
    return client.acting_as(factories.User(role=Role.MANAGER))
