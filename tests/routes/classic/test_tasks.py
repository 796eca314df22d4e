import pytest

from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task
from tests.routes.classic.classic_requests import UNKNOWN_ID


class TestCreateTask:
    def test_accepts_every_field(self, as_user, session, factories):
        assignee = factories.User(username="john_doe")

        response = as_user.post(
            "/task",
            {
                "task_name": "Water the plants",
                "description": "Not too much",
                "status": True,
                "priority": "high",
                "created_at": "2024-09-01",
                "assigned_user": "john_doe",
            },
        )

        assert response.status_code == 201
        assert response.json == {"id": response.json["id"], "task_name": "Water the plants"}
        task = session.get_one(Task, response.json["id"])
        assert (task.description, task.status, task.priority) == ("Not too much", TaskStatus.TODO, TaskPriority.HIGH)
        assert (task.created_at.isoformat(), task.assignee_id) == ("2024-09-01T00:00:00+00:00", assignee.id)

    def test_needs_only_a_name(self, as_user, session):
        response = as_user.post("/task", {"task_name": "Water the plants"})

        task = session.get_one(Task, response.json["id"])
        assert (task.description, task.status, task.priority) == ("", TaskStatus.TODO, TaskPriority.MEDIUM)
        assert task.assignee_id is None

    @pytest.mark.parametrize(
        ("sent", "stored"),
        [
            (True, TaskStatus.TODO),
            (False, TaskStatus.DONE),
            ("true", TaskStatus.TODO),
            ("false", TaskStatus.DONE),
            ("pending", TaskStatus.TODO),
            ("In Progress", TaskStatus.IN_PROGRESS),
            ("completed", TaskStatus.DONE),
        ],
    )
    def test_a_boolean_status_means_active_or_done(self, as_user, session, sent, stored):
        response = as_user.post("/task", {"task_name": "Water the plants", "status": sent})

        assert response.status_code == 201
        assert session.get_one(Task, response.json["id"]).status is stored

    @pytest.mark.parametrize(
        ("sent", "stored"),
        [
            ("9/1/2024", "2024-09-01T00:00:00+00:00"),
            ("09/01/2024", "2024-09-01T00:00:00+00:00"),
            ("12/31/2024 23:59", "2024-12-31T23:59:00+00:00"),
            ("2024-09-01", "2024-09-01T00:00:00+00:00"),
            ("2024-09-01T10:20:30", "2024-09-01T10:20:30+00:00"),
            ("2024-09-01 10:20:30", "2024-09-01T10:20:30+00:00"),
            ("2024-09-01T10:20:30+02:00", "2024-09-01T08:20:30+00:00"),
            ("2024-09-01T10:20:30+23:59", "2024-08-31T10:21:30+00:00"),
        ],
    )
    def test_accepts_dates_as_people_write_them(self, as_user, session, sent, stored):
        response = as_user.post("/task", {"task_name": "Water the plants", "created_at": sent})

        assert response.status_code == 201
        assert session.get_one(Task, response.json["id"]).created_at.isoformat() == stored

    @pytest.mark.parametrize(
        ("sent", "field"),
        [
            ({"task_name": ""}, "task_name"),
            ({"task_name": None}, "task_name"),
            ({"task_name": "t" * 300}, "task_name"),
            ({"task_name": "a\x00b"}, "task_name"),
            ({"status": "asleep"}, "status"),
            ({"status": None}, "status"),
            ({"status": [True]}, "status"),
            ({"priority": "whatever"}, "priority"),
            ({"created_at": "2/30/2024"}, "created_at"),
            ({"created_at": "31/12/2024"}, "created_at"),
            ({"created_at": "2024-02-30"}, "created_at"),
            ({"created_at": "yesterday"}, "created_at"),
            ({"created_at": 1_725_148_800}, "created_at"),
            ({"assigned_user": "nobody"}, "nobody"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_an_invalid_value_is_a_422_that_names_the_field(self, as_user, sent, field):
        response = as_user.post("/task", {"task_name": "Water the plants", **sent})

        assert response.status_code == 422
        assert set(response.json) == {"error"}
        assert field in response.json["error"]


class TestChangeTask:
    @pytest.mark.parametrize(
        ("change", "stored"),
        [
            ({"task_name": "New"}, {"title": "New"}),
            ({"description": "New"}, {"description": "New"}),
            ({"description": None}, {"description": ""}),
            ({"status": False}, {"status": TaskStatus.DONE}),
            ({"priority": "low"}, {"priority": TaskPriority.LOW}),
            ({"assigned_user": None}, {"assignee_id": None}),
            ({}, {}),
        ],
    )
    def test_only_the_named_fields_change(self, as_manager, session, factories, change, stored):
        task = factories.Task(title="Old", description="long", priority="high", assignee_id=factories.User().id)
        before = {name: getattr(task, name) for name in ("title", "description", "status", "priority", "assignee_id")}

        response = as_manager.put(f"/task/{task.id}", change)

        assert (response.status_code, response.json) == (200, {"message": "Task updated"})
        session.refresh(task)
        assert {name: getattr(task, name) for name in before} == {**before, **stored}

    @pytest.mark.parametrize(
        ("status", "is_active", "stored"),
        [
            (TaskStatus.BLOCKED, True, TaskStatus.BLOCKED),
            (TaskStatus.CANCELLED, False, TaskStatus.CANCELLED),
            (TaskStatus.DONE, True, TaskStatus.TODO),
            (TaskStatus.IN_PROGRESS, False, TaskStatus.DONE),
        ],
    )
    def test_a_boolean_status_that_already_holds_changes_nothing(
        self, as_manager, session, factories, status, is_active, stored
    ):
        task = factories.Task(status=status)

        as_manager.put(f"/task/{task.id}", {"status": is_active})

        session.refresh(task)
        assert task.status is stored

    def test_an_unknown_task_is_a_404(self, as_manager):
        response = as_manager.put(f"/task/{UNKNOWN_ID}", {"task_name": "New"})

        assert (response.status_code, response.json) == (404, {"error": f"there is no task {UNKNOWN_ID}"})

    def test_a_task_of_another_project_is_a_404(self, as_manager, factories):
        task = factories.Task(project_id=factories.Project().id)

        assert as_manager.put(f"/task/{task.id}", {"task_name": "New"}).status_code == 404
        assert as_manager.delete(f"/task/{task.id}").status_code == 404


class TestDeleteTask:
    def test_deletes_softly(self, as_manager, task, session):
        response = as_manager.delete(f"/task/{task.id}")

        assert response.status_code == 200
        assert response.json == {
            "message": "Task soft-deleted successfully",
            "task_id": task.id,
            "status": False,
        }
        session.refresh(task)
        assert task.deleted_at is not None
        assert as_manager.get("/activetasks").json == []

    def test_a_deleted_or_unknown_task_is_a_404(self, as_manager, task):
        as_manager.delete(f"/task/{task.id}")

        assert as_manager.delete(f"/task/{task.id}").status_code == 404
        assert set(as_manager.delete(f"/task/{UNKNOWN_ID}").json) == {"error"}
