import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.job_queue import JobName
from app.models.people.user import Role, User
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.settings import RateLimit
from tests.factories import PASSWORD

NOT_THERE = 999_999_999
CSV = b"""task_name,description,status,priority,created_at,assigned_user
Water the plants,Not too much,true,high,9/1/2024,john_doe
Feed the cat,,false,low,2024-09-02,
"""
# Every row that asks who is asking, with the roles that may; {task} and {log} are ids.
ALL = frozenset(Role)
WRITERS = frozenset({Role.ADMIN, Role.MANAGER, Role.USER})
MANAGERS = frozenset({Role.ADMIN, Role.MANAGER})
PROTECTED = {
    ("POST", "/user"): frozenset({Role.ADMIN}),
    ("POST", "/task"): WRITERS,
    ("PUT", "/task/{task}"): MANAGERS,
    ("DELETE", "/task/{task}"): MANAGERS,
    ("GET", "/task/{log}"): ALL,
    ("GET", "/tasklogger/{log}"): ALL,
    ("GET", "/tasks"): ALL,
    ("GET", "/activetasks"): ALL,
    ("POST", "/upload-csv"): MANAGERS,
    ("POST", "/log-tasks"): MANAGERS,
}


class TestPublicRows:
    def test_the_welcome(self, client):
        response = client.get("/")

        assert (response.status_code, response.json) == (200, {"message": "Welcome to TaskTrackerPro!"})

    def test_the_ping(self, client):
        response = client.get("/ping")

        assert (response.status_code, response.json) == (200, {"message": "pong!"})


class TestLogIn:
    def test_answers_a_token_that_opens_both_apis(self, client, factories):
        user = factories.User(username="john_doe")

        response = client.post("/login", {"username": "john_doe", "password": PASSWORD})

        assert response.status_code == 200
        assert set(response.json) == {"token"}
        bearer = {"Authorization": f"Bearer {response.json['token']}"}
        assert client.get("/activetasks", headers=bearer).status_code == 200
        assert client.get("/api/v1/auth/me", headers=bearer).json["id"] == user.id

    def test_a_wrong_password_is_a_401(self, client, factories):
        factories.User(username="john_doe")

        response = client.post("/login", {"username": "john_doe", "password": "wrong"})

        assert (response.status_code, response.json) == (401, {"error": "the username or password is wrong"})
        assert response.headers["WWW-Authenticate"].startswith("Bearer")

    def test_both_are_needed(self, client):
        response = client.post("/login", {"username": "john_doe"})

        assert response.status_code == 422
        assert set(response.json) == {"error"}
        assert "password" in response.json["error"]


class TestLogInLimit:
    def test_the_sixth_in_a_minute_is_refused(self, client, factories, clock):
        factories.User(username="john_doe")
        for _ in range(5):
            assert client.post("/login", {"username": "john_doe", "password": "wrong"}).status_code == 401

        response = client.post("/login", {"username": "john_doe", "password": PASSWORD})

        assert response.status_code == 429
        assert set(response.json) == {"error"}
        assert 0 < int(response.headers["Retry-After"]) <= 61
        clock.advance(seconds=61)
        assert client.post("/login", {"username": "john_doe", "password": PASSWORD}).status_code == 200

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, rate_limits=replace(base_settings.rate_limits, login=RateLimit(5, 60)))


class TestCreateUser:
    def test_an_admin_makes_one_with_a_role(self, as_admin, session):
        new_user = {"username": "jane", "email": "jane@example.org", "password": PASSWORD, "role": "manager"}

        response = as_admin.post("/user", new_user)

        assert response.status_code == 201
        assert response.json == {"id": response.json["id"], "username": "jane"}
        assert session.get_one(User, response.json["id"]).role is Role.MANAGER

    def test_without_a_role_it_is_a_user(self, as_admin, session):
        response = as_admin.post("/user", {"username": "jane", "email": "jane@example.org", "password": PASSWORD})

        assert session.get_one(User, response.json["id"]).role is Role.USER

    @pytest.mark.parametrize(
        ("taken", "words"),
        [
            ({"username": "JANE"}, "the username is taken"),
            ({"email": "JANE@example.org"}, "the email address is taken"),
        ],
    )
    def test_what_is_taken_is_a_409(self, as_admin, factories, taken, words):
        factories.User(username="jane", email="jane@example.org")
        new_user = {"username": "new", "email": "new@example.org", "password": PASSWORD, "role": "user"}

        response = as_admin.post("/user", {**new_user, **taken})

        assert (response.status_code, response.json) == (409, {"error": words})

    def test_an_unknown_role_is_a_422(self, as_admin):
        new_user = {"username": "new", "email": "new@example.org", "password": PASSWORD, "role": "owner"}

        response = as_admin.post("/user", new_user)

        assert response.status_code == 422
        assert "role" in response.json["error"]


class TestCreateTask:
    def test_with_every_field(self, as_user, session, factories):
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

    def test_with_its_name_alone(self, as_user, session):
        response = as_user.post("/task", {"task_name": "Water the plants"})

        task = session.get_one(Task, response.json["id"])
        assert (task.description, task.status, task.priority) == ("", TaskStatus.TODO, TaskPriority.MEDIUM)
        assert task.assignee_id is None

    @pytest.mark.parametrize(
        ("said", "kept"),
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
    def test_status_says_whether_it_is_active(self, as_user, session, said, kept):
        response = as_user.post("/task", {"task_name": "Water the plants", "status": said})

        assert response.status_code == 201
        assert session.get_one(Task, response.json["id"]).status is kept

    @pytest.mark.parametrize(
        ("said", "kept"),
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
    def test_dates_as_people_write_them(self, as_user, session, said, kept):
        response = as_user.post("/task", {"task_name": "Water the plants", "created_at": said})

        assert response.status_code == 201
        assert session.get_one(Task, response.json["id"]).created_at.isoformat() == kept

    @pytest.mark.parametrize(
        ("said", "field"),
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
    def test_what_cannot_be_kept_is_a_422_that_says_what(self, as_user, said, field):
        response = as_user.post("/task", {"task_name": "Water the plants", **said})

        assert response.status_code == 422
        assert set(response.json) == {"error"}
        assert field in response.json["error"]


class TestChangeTask:
    @pytest.mark.parametrize(
        ("change", "kept"),
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
    def test_only_what_is_named_changes(self, as_manager, session, factories, change, kept):
        task = factories.Task(title="Old", description="long", priority="high", assignee_id=factories.User().id)
        before = {name: getattr(task, name) for name in ("title", "description", "status", "priority", "assignee_id")}

        response = as_manager.put(f"/task/{task.id}", change)

        assert (response.status_code, response.json) == (200, {"message": "Task updated"})
        session.refresh(task)
        assert {name: getattr(task, name) for name in before} == {**before, **kept}

    @pytest.mark.parametrize(
        ("status", "is_active", "kept"),
        [
            (TaskStatus.BLOCKED, True, TaskStatus.BLOCKED),
            (TaskStatus.CANCELLED, False, TaskStatus.CANCELLED),
            (TaskStatus.DONE, True, TaskStatus.TODO),
            (TaskStatus.IN_PROGRESS, False, TaskStatus.DONE),
        ],
    )
    def test_a_status_that_already_holds_stays_what_it_is(
        self, as_manager, session, factories, status, is_active, kept
    ):
        task = factories.Task(status=status)

        as_manager.put(f"/task/{task.id}", {"status": is_active})

        session.refresh(task)
        assert task.status is kept

    def test_an_unknown_one_is_a_404(self, as_manager):
        response = as_manager.put(f"/task/{NOT_THERE}", {"task_name": "New"})

        assert (response.status_code, response.json) == (404, {"error": f"there is no task {NOT_THERE}"})

    def test_one_of_a_project_that_one_is_not_in_is_a_404(self, as_manager, factories):
        task = factories.Task(project_id=factories.Project().id)

        assert as_manager.put(f"/task/{task.id}", {"task_name": "New"}).status_code == 404
        assert as_manager.delete(f"/task/{task.id}").status_code == 404


class TestDeleteTask:
    def test_is_soft(self, as_manager, task, session):
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

    def test_a_deleted_or_unknown_one_is_a_404(self, as_manager, task):
        as_manager.delete(f"/task/{task.id}")

        assert as_manager.delete(f"/task/{task.id}").status_code == 404
        assert set(as_manager.delete(f"/task/{NOT_THERE}").json) == {"error"}


class TestShowLog:
    @pytest.mark.parametrize("path", ["/task", "/tasklogger"])
    def test_one_log_row_with_its_task(self, as_viewer, factories, log, clock, path):
        assignee = factories.User(username="john_doe")
        task = factories.Task(
            title="Water the plants",
            description="Not too much",
            priority="high",
            created_at="2024-09-01T00:00:00Z",
            assignee_id=assignee.id,
        )
        [row] = log()

        response = as_viewer.get(f"{path}/{row['id']}")

        assert response.status_code == 200
        assert response.json == {
            "log_id": row["id"],
            "date_logged": clock().date().isoformat(),
            "status": True,
            "task": {
                "id": task.id,
                "task_name": "Water the plants",
                "description": "Not too much",
                "priority": "high",
                "created_at": "2024-09-01T00:00:00+00:00",
                "assigned_user": "john_doe",
            },
        }

    def test_nobody_may_be_assigned(self, as_viewer, task, log):
        [row] = log()

        assert as_viewer.get(f"/task/{row['id']}").json["task"]["assigned_user"] is None

    @pytest.mark.parametrize("path", ["/task", "/tasklogger"])
    @pytest.mark.parametrize("unknown", [NOT_THERE, 2**63, 0, "one"])
    def test_an_unknown_one_is_a_404(self, as_viewer, path, unknown):
        response = as_viewer.get(f"{path}/{unknown}")

        assert response.status_code == 404
        assert set(response.json) == {"error"}

    @pytest.mark.parametrize("path", ["/task", "/tasklogger"])
    def test_one_of_a_project_that_one_is_not_in_is_a_404(self, as_viewer, factories, log, path):
        factories.Task(project_id=factories.Project().id)
        [row] = log()

        assert as_viewer.get(f"{path}/{row['id']}").status_code == 404


class TestListLogs:
    def test_log_tasks_and_then_tasks(self, as_manager, task, services, job_queue, clock):
        asked = as_manager.post("/log-tasks")
        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]
        services.daily_log.log_due_days()

        response = as_manager.get("/tasks")

        assert (asked.status_code, asked.json) == (
            202,
            {"message": "Logging of active tasks has been triggered."},
        )
        assert response.status_code == 200
        assert response.json == {
            "tasks": [
                {
                    "id": response.json["tasks"][0]["id"],
                    "task_id": task.id,
                    "date_logged": clock().date().isoformat(),
                    "status": True,
                    "task": {"task_name": task.title, "description": task.description},
                }
            ],
            "total": 1,
            "pages": 1,
            "page": 1,
            "current_page": 1,
        }

    def test_asking_twice_is_logging_once(self, as_manager, task, services):
        for _ in range(2):
            as_manager.post("/log-tasks")
            services.daily_log.log_due_days()

        assert as_manager.get("/tasks").json["total"] == 1

    def test_only_what_is_active_is_logged(self, as_manager, factories, log, clock):
        active = [factories.Task(status=status).id for status in ("todo", "in_progress", "blocked")]
        for status in ("done", "cancelled"):
            factories.Task(status=status, completed_at=clock() - timedelta(hours=1))
        factories.Task(deleted_at=clock() - timedelta(hours=1))

        assert [row["task_id"] for row in log()] == active

    def test_the_second_look_is_a_hit_and_says_the_same(self, as_viewer, task, log):
        log()

        first, second = as_viewer.get("/tasks"), as_viewer.get("/tasks")

        assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
        assert second.json == first.json

    def test_another_page_is_not_answered_from_it(self, as_viewer, factories, log):
        for _ in range(3):
            factories.Task()
        log()

        pages = [as_viewer.get(f"/tasks?per_page=2&page={number}") for number in (1, 2, 3)]

        assert [page.headers["X-Cache"] for page in pages] == ["miss"] * 3
        assert [len(page.json["tasks"]) for page in pages] == [2, 1, 0]
        assert [page.json["page"] for page in pages] == [page.json["current_page"] for page in pages] == [1, 2, 3]
        assert {(page.json["total"], page.json["pages"]) for page in pages} == {(3, 2)}

    def test_a_new_log_is_seen_at_once(self, as_viewer, task, log):
        assert as_viewer.get("/tasks").json == {"tasks": [], "total": 0, "pages": 0, "page": 1, "current_page": 1}

        log()

        assert as_viewer.get("/tasks").json["total"] == 1

    def test_newest_day_first(self, as_viewer, task, log, clock):
        first_day = clock().date()
        log()
        clock.advance(hours=12)
        log()

        logged = [row["date_logged"] for row in as_viewer.get("/tasks").json["tasks"]]

        assert logged == [(first_day + timedelta(days=1)).isoformat(), first_day.isoformat()]

    def test_one_day_alone(self, as_viewer, task, log, clock):
        first_day = clock().date()
        log()
        clock.advance(hours=12)
        log()

        response = as_viewer.get(f"/tasks?date={first_day}")

        assert [row["date_logged"] for row in response.json["tasks"]] == [first_day.isoformat()]
        assert as_viewer.get("/tasks?date=1999-12-31").json["total"] == 0

    def test_ten_a_page_unless_told_otherwise(self, as_viewer, factories, log):
        for _ in range(11):
            factories.Task()
        log()

        response = as_viewer.get("/tasks")

        assert (len(response.json["tasks"]), response.json["pages"]) == (10, 2)

    def test_shows_nothing_of_a_project_one_is_not_in(self, as_viewer, as_admin, factories, log):
        factories.Task(project_id=factories.Project().id)
        log()

        assert as_admin.get("/tasks").json["total"] == 1
        assert as_viewer.get("/tasks").json["total"] == 0

    @pytest.mark.parametrize(
        "query",
        [
            *("date=2024-02-30", "date=9/1/2024", "date=today", "date="),
            *("page=0", "page=-1", "page=one", "page=1000001"),
            *("per_page=0", "per_page=201", "per_page=all", "limit=10"),
        ],
    )
    def test_a_question_that_it_does_not_answer_is_a_422(self, as_viewer, query):
        response = as_viewer.get(f"/tasks?{query}")

        assert response.status_code == 422
        assert set(response.json) == {"error"}
        assert query.partition("=")[0] in response.json["error"]


class TestListLogsLimit:
    def test_the_sixty_first_in_a_minute_is_refused(self, as_viewer):
        for _ in range(60):
            response = as_viewer.get("/tasks")
            assert response.status_code == 200
        assert response.headers["X-RateLimit-Limit"] == "60"

        response = as_viewer.get("/tasks")

        assert response.status_code == 429
        assert set(response.json) == {"error"}
        assert 0 < int(response.headers["Retry-After"]) <= 61

    def test_other_rows_go_on(self, as_viewer):
        for _ in range(61):
            as_viewer.get("/tasks")

        assert as_viewer.get("/activetasks").status_code == 200

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, rate_limits=replace(base_settings.rate_limits, tasks=RateLimit(60, 60)))


class TestListActive:
    def test_the_active_ones_by_id_and_name(self, as_viewer, factories, clock):
        shown = [factories.Task(status=status) for status in ("todo", "in_progress", "blocked")]
        factories.Task(status="done")
        factories.Task(status="cancelled")
        factories.Task(deleted_at=clock())
        factories.Task(project_id=factories.Project().id)

        response = as_viewer.get("/activetasks")

        assert response.status_code == 200
        assert response.json == [{"id": task.id, "task_name": task.title} for task in shown]

    def test_none_is_an_empty_list(self, as_viewer):
        assert as_viewer.get("/activetasks").json == []


class TestUploadCsv:
    def test_each_good_row_is_a_task(self, as_manager, session):
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

    def test_a_known_assignee_is_taken_in_any_case(self, as_manager, factories, session):
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

    def test_the_same_sheet_again_uploads_nothing(self, as_manager, session, clock):
        rows = CSV + b"Bad date,,true,low,2/30/2024,\n"
        upload(as_manager, rows)
        clock.advance(seconds=1)

        response = upload(as_manager, rows)

        assert response.json == {"message": "0 tasks uploaded successfully", "skipped": 3}
        assert len(session.scalars(select(Task)).all()) == 2

    def test_a_sheet_that_has_grown_uploads_what_is_new(self, as_manager):
        upload(as_manager, CSV)

        response = upload(as_manager, CSV + b"Wash the car,,true,low,9/3/2024,\n")

        assert response.json == {"message": "1 tasks uploaded successfully", "skipped": 2}

    def test_a_row_that_stands_in_the_sheet_twice_is_one_task(self, as_manager):
        assert upload(as_manager, CSV + CSV.partition(b"\n")[2]).json == {
            "message": "2 tasks uploaded successfully",
            "skipped": 2,
        }

    def test_a_task_that_was_deleted_since_is_uploaded_again(self, as_manager, session, clock):
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
    def test_a_file_that_is_no_such_csv_is_a_422_that_leaves_nothing(self, as_manager, session, content):
        response = upload(as_manager, content)

        assert response.status_code == 422
        assert set(response.json) == {"error"}
        assert session.scalars(select(Task)).all() == []

    def test_a_column_that_nobody_knows_is_ignored_and_named(self, as_manager, session):
        response = upload(as_manager, b"task_name,colour\nOne,red\n")

        assert response.status_code == 200
        assert response.json == {"message": "1 tasks uploaded successfully", "skipped": 0}
        assert session.scalars(select(Task.title)).all() == ["One"]
        assert as_manager.get(response.headers["Location"]).json["ignored_columns"] == ["colour"]

    def test_one_that_is_not_finished_in_time_is_a_202_that_leads_to_it(
        self, as_manager, monkeypatch, services, session
    ):
        monkeypatch.setattr("app.routes.classic.UPLOAD_WAIT_SECONDS", 0)

        response = upload(as_manager, CSV)

        location = response.headers["Location"]
        assert (response.status_code, set(response.json)) == (202, {"message"})
        assert location in response.json["message"]
        assert session.scalars(select(Task)).all() == []
        services.import_runs.run_waiting()
        assert as_manager.get(location).json["created_count"] == 2

    def test_without_a_file_is_a_422(self, as_manager):
        as_text = as_manager.request(
            "POST", "/upload-csv", data={"file": "task_name"}, content_type="multipart/form-data"
        )
        under_another_name = as_manager.request("POST", "/upload-csv", data={"csv": (io.BytesIO(CSV), "tasks.csv")})

        for response in (as_text, under_another_name):
            assert response.status_code == 422
            assert set(response.json) == {"error"}

    @pytest.mark.parametrize("content_type", ["text/csv", "application/json", ""])
    def test_a_body_that_is_no_form_is_a_415(self, as_manager, content_type):
        response = as_manager.request("POST", "/upload-csv", data=CSV, content_type=content_type)

        assert response.status_code == 415
        assert set(response.json) == {"error"}


class TestUploadLimits:
    def test_the_eleventh_in_an_hour_is_refused(self, as_manager):
        for _ in range(10):
            assert upload(as_manager, CSV).status_code == 200

        response = upload(as_manager, CSV)

        assert response.status_code == 429
        assert set(response.json) == {"error"}
        assert 0 < int(response.headers["Retry-After"]) <= 3601

    def test_its_successor_shares_the_count(self, as_manager):
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


class TestLogTasks:
    def test_is_a_row_before_it_is_a_message(self, as_manager, task, services, job_queue):
        as_manager.post("/log-tasks")
        job_queue.enqueued.clear()

        assert services.daily_log.log_due_days() != []
        assert as_manager.get("/tasks").json["total"] == 1

    def test_takes_no_body_and_minds_an_empty_one_not(self, as_manager):
        assert as_manager.post("/log-tasks", {}).status_code == 202


class TestAccess:
    @pytest.mark.parametrize(("method", "path"), PROTECTED)
    def test_without_a_token_is_a_401(self, client, ids, method, path):
        response = ask(client, method, path, ids)

        assert response.status_code == 401
        assert response.content_type == "application/json"
        assert response.json == {"error": "a bearer token is needed: log in first"}
        assert response.headers["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("role", list(Role))
    @pytest.mark.parametrize(("method", "path"), PROTECTED)
    def test_a_role_that_may_not_is_a_403_and_one_that_may_is_answered(
        self, client, factories, ids, method, path, role
    ):
        response = ask(client.acting_as(factories.User(role=role)), method, path, ids)

        if role in PROTECTED[method, path]:
            assert response.status_code in {200, 201, 202}
        else:
            assert response.status_code == 403
            assert set(response.json) == {"error"}


class TestErrors:
    @pytest.mark.parametrize(
        ("method", "path", "allow"),
        [
            ("POST", "/", {"GET", "HEAD", "OPTIONS"}),
            ("POST", "/ping", {"GET", "HEAD", "OPTIONS"}),
            ("GET", "/login", {"POST", "OPTIONS"}),
            ("GET", "/user", {"POST", "OPTIONS"}),
            ("GET", "/task", {"POST", "OPTIONS"}),
            ("POST", "/task/1", {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}),
            ("PUT", "/tasklogger/1", {"GET", "HEAD", "OPTIONS"}),
            ("POST", "/tasks", {"GET", "HEAD", "OPTIONS"}),
            ("POST", "/activetasks", {"GET", "HEAD", "OPTIONS"}),
            ("GET", "/upload-csv", {"POST", "OPTIONS"}),
            ("GET", "/log-tasks", {"POST", "OPTIONS"}),
        ],
    )
    def test_another_method_is_a_405_that_says_which(self, client, method, path, allow):
        response = client.request(method, path)

        assert response.status_code == 405
        assert response.json == {"error": "this resource does not take that method"}
        assert {name.strip() for name in response.headers["Allow"].split(",")} == allow

    @pytest.mark.parametrize(
        "path", ["/task/one", "/task/0", "/task/1/2", "/tasks/1", "/tasklogger/", "/user/1", "/login/x"]
    )
    def test_what_is_nowhere_below_it_is_a_404(self, as_admin, path):
        response = as_admin.get(path)

        assert response.status_code == 404
        assert response.content_type == "application/json"
        assert set(response.json) == {"error"}

    @pytest.mark.parametrize("path", ["/login", "/user", "/task"])
    def test_what_is_not_json_is_a_400(self, as_admin, path):
        response = as_admin.request("POST", path, data=b"{", content_type="application/json")

        assert response.status_code == 400
        assert set(response.json) == {"error"}

    @pytest.mark.parametrize("path", ["/login", "/user", "/task"])
    def test_another_content_type_is_a_415(self, as_admin, path):
        response = as_admin.request("POST", path, data={"task_name": "One"})

        assert response.status_code == 415
        assert set(response.json) == {"error"}

    def test_a_body_over_the_limit_is_a_413(self, as_admin, base_settings):
        response = as_admin.post("/task", {"task_name": "One", "description": "d" * base_settings.max_body_bytes})

        assert response.status_code == 413
        assert set(response.json) == {"error"}


def upload(client, content, *, path="/upload-csv"):
    return client.request("POST", path, data={"file": (io.BytesIO(content), "tasks.csv")})


def ask(client, method, path, ids):
    """The request of that row as its clients send it."""
    bodies = {
        "/user": {"username": "new", "email": "new@example.org", "password": PASSWORD, "role": "user"},
        "/task": {"task_name": "Water the plants"},
        "/task/{task}": {"task_name": "Water the plants"},
    }
    if path == "/upload-csv":
        return upload(client, CSV)
    return client.request(method, path.format(**ids), json=bodies.get(path) if method != "GET" else None)


@pytest.fixture
def as_admin(client, admin):
    return client.acting_as(admin)


@pytest.fixture
def as_manager(client, factories):
    return client.acting_as(factories.User(role=Role.MANAGER))


@pytest.fixture
def as_user(client, factories):
    return client.acting_as(factories.User())


@pytest.fixture
def as_viewer(client, factories):
    return client.acting_as(factories.User(role=Role.VIEWER))


@pytest.fixture
def clock(clock):
    """Noon: a test that moves it by hours knows which day it comes to."""
    clock.now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return clock


@pytest.fixture
def task(factories, clock):
    recorded_at = clock() - timedelta(hours=1)
    return factories.Task(title="Water the plants", description="Not too much", revised_at=recorded_at)


@pytest.fixture
def log(as_admin, services):
    """Log today; answer its rows, as an admin sees them."""

    def log_today():
        as_admin.post("/log-tasks")
        services.daily_log.log_due_days()
        return as_admin.get("/tasks?per_page=200").json["tasks"]

    return log_today


@pytest.fixture
def ids(task, log):
    [row] = log()
    return {"task": task.id, "log": row["id"]}
