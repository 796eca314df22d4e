import re

import pytest

from tests.routes.tasks.task_requests import FIELDS, MAX_BIGINT, TASKS, UNKNOWN_ID


class TestShow:
    def test_shows_a_task_with_its_version_as_etag(self, as_user, task):
        response = as_user.get(f"{TASKS}/{task.id}")

        assert response.status_code == 200
        assert set(response.json) == FIELDS
        assert re.fullmatch(r'"[^"]+"', response.headers["ETag"])
        assert response.headers["Cache-Control"] == "private, no-cache"

    def test_a_client_with_this_version_gets_no_body(self, as_user, task):
        etag = as_user.get(f"{TASKS}/{task.id}").headers["ETag"]

        # A proxy that compresses makes the tag weak.
        for tag in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            response = as_user.get(f"{TASKS}/{task.id}", headers={"If-None-Match": tag})
            assert (response.status_code, response.data) == (304, b""), tag
            assert response.headers["ETag"] == etag

    def test_a_client_with_an_older_version_gets_the_new_one(self, as_user, task):
        etag = as_user.get(f"{TASKS}/{task.id}").headers["ETag"]
        as_user.patch(f"{TASKS}/{task.id}", {"title": "New"})

        response = as_user.get(f"{TASKS}/{task.id}", headers={"If-None-Match": etag})

        assert (response.status_code, response.json["title"]) == (200, "New")

    @pytest.mark.parametrize(
        "unknown", [UNKNOWN_ID, MAX_BIGINT, MAX_BIGINT + 1, 10**30, "9" * 5000, 0, -1, "1.0", "OPS-1", "%00", "1%00"]
    )
    def test_an_unknown_task_is_not_found(self, as_user, unknown):
        response = as_user.get(f"{TASKS}/{unknown}")

        assert response.status_code == (400 if "%00" in str(unknown) else 404)
        assert response.content_type == "application/problem+json"

    def test_a_deleted_task_is_shown_only_to_roles_that_may_restore_it(self, as_user, as_manager, factories, clock):
        task = factories.Task(deleted_at=clock())

        assert as_user.get(f"{TASKS}/{task.id}").status_code == 404
        assert as_manager.get(f"{TASKS}/{task.id}").json["deleted_at"] is not None
