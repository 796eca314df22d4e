import io
from dataclasses import replace

import pytest
from sqlalchemy import select

from app.models.people.user import Role, User
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.settings import RateLimit
from tests.routes.classic.classic_requests import CSV, upload


class TestUploadCsv:
    def test_each_good_row_becomes_a_task(self, as_manager, session):
        response = upload(as_manager, CSV)

        assert response.status_code == 200
        assert response.json == {"message": "2 tasks uploaded successfully", "skipped": 0}
        plants, cat = session.scalars(select(Task).order_by(Task.id)).all()
        assert (plants.title, plants.description, plants.status) == (
            "Water the plants",
            "Not too much",
            TaskStatus.TODO,
        )
        assert (plants.priority, plants.created_at.isoformat()) == (TaskPriority.HIGH, "2024-09-01T00:00:00+00:00")
        assert (cat.title, cat.status, cat.priority) == ("Feed the cat", TaskStatus.DONE, TaskPriority.LOW)
        assert (cat.created_at.isoformat(), cat.assignee_id) == ("2024-09-02T00:00:00+00:00", None)

    def test_an_unknown_assignee_becomes_an_inactive_user(self, as_manager, session):
        upload(as_manager, CSV)

        john = session.scalars(select(User).where(User.username == "john_doe")).one()
        assert (john.is_active, john.role, john.password_hash) == (False, Role.USER, None)
        assert session.scalars(select(Task.assignee_id).where(Task.title == "Water the plants")).one() == john.id

    def test_the_maps_that_the_project_has_kept_are_not_used(self, as_manager, session):
        maps = {"column_map": {"description": "labels"}, "priority_map": {"urgent": "low"}, "people_map": {"ada": None}}
        as_manager.put("/api/v1/projects/GEN/import-mapping", maps)

        upload(as_manager, b"task_name,description,priority,assigned_user\nPaint,Green,urgent,ada\n")

        task = session.scalars(select(Task)).one()
        assert (task.description, task.priority) == ("Green", TaskPriority.CRITICAL)
        assert task.assignee_id is not None
        assert as_manager.get("/api/v1/projects/GEN/import-mapping").json["version"] == 1

    def test_a_known_assignee_is_matched_in_any_case(self, as_manager, factories, session):
        john = factories.User(username="John_Doe")

        upload(as_manager, CSV)

        assert session.scalars(select(Task.assignee_id).where(Task.title == "Water the plants")).one() == john.id

    def test_a_bad_row_is_skipped_and_reported(self, as_manager):
        rows = CSV + b"Bad date,,true,low,2/30/2024,\n,no name,true,low,,\nBad priority,,true,whatever,,\n"

        response = upload(as_manager, rows)

        assert response.json == {"message": "2 tasks uploaded successfully", "skipped": 3}
        report = as_manager.get(f"{response.headers['Location']}/errors").json["items"]
        assert [(problem["line"], problem["column"]) for problem in report] == [
            (4, "created_at"),
            (5, "task_name"),
            (6, "priority"),
        ]

    def test_the_same_sheet_a_second_time_uploads_nothing(self, as_manager, session, clock):
        rows = CSV + b"Bad date,,true,low,2/30/2024,\n"
        upload(as_manager, rows)
        clock.advance(seconds=1)

        response = upload(as_manager, rows)

        assert response.json == {"message": "0 tasks uploaded successfully", "skipped": 3}
        assert len(session.scalars(select(Task)).all()) == 2

    def test_a_sheet_that_has_grown_uploads_its_new_rows(self, as_manager):
        upload(as_manager, CSV)

        response = upload(as_manager, CSV + b"Wash the car,,true,low,9/3/2024,\n")

        assert response.json == {"message": "1 tasks uploaded successfully", "skipped": 2}

    def test_a_repeated_row_is_one_task(self, as_manager):
        assert upload(as_manager, CSV + CSV.partition(b"\n")[2]).json == {
            "message": "2 tasks uploaded successfully",
            "skipped": 2,
        }

    def test_a_task_deleted_since_is_uploaded_again(self, as_manager, session, clock):
        upload(as_manager, CSV)
        clock.advance(seconds=1)
        as_manager.delete(f"/task/{session.scalars(select(Task.id).where(Task.title == 'Feed the cat')).one()}")

        assert upload(as_manager, CSV).json == {"message": "1 tasks uploaded successfully", "skipped": 1}

    def test_its_tasks_are_seen_at_once(self, as_manager):
        assert as_manager.get("/api/v1/tasks").json["items"] == []

        upload(as_manager, CSV)

        assert len(as_manager.get("/api/v1/tasks").json["items"]) == 2

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\n\n",
            b"colour,shape\nred,round\n",
            b"description\nno name\n",
            b"task_name,priorty\nOne,high\n",
            b"task_name,title\nOne,Two\n",
            b'task_name\n"never closed\n',
            b"\x89PNG\r\n\x1a\n\x00\x00",
        ],
    )
    def test_an_unreadable_file_is_a_422_and_leaves_nothing(self, as_manager, session, content):
        response = upload(as_manager, content)

        assert response.status_code == 422
        assert set(response.json) == {"error"}
        assert session.scalars(select(Task)).all() == []

    def test_an_unknown_column_is_ignored_and_reported(self, as_manager, session):
        response = upload(as_manager, b"task_name,colour\nOne,red\n")

        assert response.status_code == 200
        assert response.json == {"message": "1 tasks uploaded successfully", "skipped": 0}
        assert session.scalars(select(Task.title)).all() == ["One"]
        assert as_manager.get(response.headers["Location"]).json["ignored_columns"] == ["colour"]

    def test_an_unfinished_import_is_a_202_with_its_location(self, as_manager, monkeypatch, services, session):
        monkeypatch.setattr("app.routes.classic.UPLOAD_WAIT_SECONDS", 0)

        response = upload(as_manager, CSV)

        location = response.headers["Location"]
        assert (response.status_code, set(response.json)) == (202, {"message"})
        assert location in response.json["message"]
        assert session.scalars(select(Task)).all() == []
        services.import_runs.run_waiting()
        assert as_manager.get(location).json["created_count"] == 2

    def test_a_missing_file_is_a_422(self, as_manager):
        as_text = as_manager.request(
            "POST", "/upload-csv", data={"file": "task_name"}, content_type="multipart/form-data"
        )
        under_another_name = as_manager.request("POST", "/upload-csv", data={"csv": (io.BytesIO(CSV), "tasks.csv")})

        for response in (as_text, under_another_name):
            assert response.status_code == 422
            assert set(response.json) == {"error"}

    @pytest.mark.parametrize("content_type", ["text/csv", "application/json", ""])
    def test_a_body_that_is_not_a_form_is_a_415(self, as_manager, content_type):
        response = as_manager.request("POST", "/upload-csv", data=CSV, content_type=content_type)

        assert response.status_code == 415
        assert set(response.json) == {"error"}


class TestUploadLimits:
    def test_the_eleventh_upload_of_an_hour_is_refused(self, as_manager):
        for _ in range(10):
            assert upload(as_manager, CSV).status_code == 200

        response = upload(as_manager, CSV)

        assert response.status_code == 429
        assert set(response.json) == {"error"}
        assert 0 < int(response.headers["Retry-After"]) <= 3601

    def test_the_new_api_shares_the_count(self, as_manager):
        for _ in range(10):
            upload(as_manager, CSV)

        assert upload(as_manager, CSV, path="/api/v1/imports").status_code == 429

    def test_a_file_over_the_limit_is_a_413(self, as_manager, settings):
        response = upload(as_manager, b"task_name\n" + b"x" * settings.max_upload_bytes)

        assert response.status_code == 413
        assert set(response.json) == {"error"}

    def test_a_file_may_be_larger_than_other_bodies(self, as_manager, settings):
        rows = b"task_name,description\n" + b"".join(b"Task %d,%s\n" % (n, b"d" * 10_000) for n in range(40))
        assert len(rows) > settings.max_body_bytes

        assert upload(as_manager, rows).json == {"message": "40 tasks uploaded successfully", "skipped": 0}

    @pytest.fixture
    def settings(self, base_settings):
        limits = replace(base_settings.rate_limits, upload=RateLimit(10, 3600))
        return replace(base_settings, rate_limits=limits, max_body_bytes=256 * 1024, max_upload_bytes=450 * 1024)
