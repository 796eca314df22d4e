from dataclasses import replace
from datetime import timedelta

import pytest

from app.job_queue import JobName
from app.settings import RateLimit
from tests.routes.classic.classic_requests import UNKNOWN_ID


class TestShowLog:
    @pytest.mark.parametrize("path", ["/task", "/tasklogger"])
    def test_shows_a_log_row_with_its_task(self, as_viewer, factories, log, clock, path):
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

    def test_the_task_may_have_no_assignee(self, as_viewer, task, log):
        [row] = log()

        assert as_viewer.get(f"/task/{row['id']}").json["task"]["assigned_user"] is None

    @pytest.mark.parametrize("path", ["/task", "/tasklogger"])
    @pytest.mark.parametrize("unknown", [UNKNOWN_ID, 2**63, 0, "one"])
    def test_an_unknown_row_is_a_404(self, as_viewer, path, unknown):
        response = as_viewer.get(f"{path}/{unknown}")

        assert response.status_code == 404
        assert set(response.json) == {"error"}

    @pytest.mark.parametrize("path", ["/task", "/tasklogger"])
    def test_a_row_of_another_project_is_a_404(self, as_viewer, factories, log, path):
        factories.Task(project_id=factories.Project().id)
        [row] = log()

        assert as_viewer.get(f"{path}/{row['id']}").status_code == 404


class TestListLogs:
    def test_shows_the_rows_that_log_tasks_has_made(self, as_manager, task, services, job_queue, clock):
        log_response = as_manager.post("/log-tasks")
        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]
        services.daily_log.log_due_days()

        response = as_manager.get("/tasks")

        assert (log_response.status_code, log_response.json) == (
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

    def test_two_requests_log_each_task_once(self, as_manager, task, services):
        for _ in range(2):
            as_manager.post("/log-tasks")
            services.daily_log.log_due_days()

        assert as_manager.get("/tasks").json["total"] == 1

    def test_only_active_tasks_are_logged(self, as_manager, factories, log, clock):
        active = [factories.Task(status=status).id for status in ("todo", "in_progress", "blocked")]
        for status in ("done", "cancelled"):
            factories.Task(status=status, completed_at=clock() - timedelta(hours=1))
        factories.Task(deleted_at=clock() - timedelta(hours=1))

        assert [row["task_id"] for row in log()] == active

    def test_the_second_request_is_answered_the_same_from_the_cache(self, as_viewer, task, log):
        log()

        first, second = as_viewer.get("/tasks"), as_viewer.get("/tasks")

        assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
        assert second.json == first.json

    def test_another_page_has_its_own_cache_entry(self, as_viewer, factories, log):
        for _ in range(3):
            factories.Task()
        log()

        pages = [as_viewer.get(f"/tasks?per_page=2&page={number}") for number in (1, 2, 3)]

        assert [page.headers["X-Cache"] for page in pages] == ["miss"] * 3
        assert [len(page.json["tasks"]) for page in pages] == [2, 1, 0]
        assert [page.json["page"] for page in pages] == [page.json["current_page"] for page in pages] == [1, 2, 3]
        assert {(page.json["total"], page.json["pages"]) for page in pages} == {(3, 2)}

    def test_a_new_row_is_seen_at_once(self, as_viewer, task, log):
        assert as_viewer.get("/tasks").json == {"tasks": [], "total": 0, "pages": 0, "page": 1, "current_page": 1}

        log()

        assert as_viewer.get("/tasks").json["total"] == 1

    def test_the_newest_day_comes_first(self, as_viewer, task, log, clock):
        first_day = clock().date()
        log()
        clock.advance(hours=12)
        log()

        logged = [row["date_logged"] for row in as_viewer.get("/tasks").json["tasks"]]

        assert logged == [(first_day + timedelta(days=1)).isoformat(), first_day.isoformat()]

    def test_a_date_selects_one_day(self, as_viewer, task, log, clock):
        first_day = clock().date()
        log()
        clock.advance(hours=12)
        log()

        response = as_viewer.get(f"/tasks?date={first_day}")

        assert [row["date_logged"] for row in response.json["tasks"]] == [first_day.isoformat()]
        assert as_viewer.get("/tasks?date=1999-12-31").json["total"] == 0

    def test_a_page_has_ten_rows_by_default(self, as_viewer, factories, log):
        for _ in range(11):
            factories.Task()
        log()

        response = as_viewer.get("/tasks")

        assert (len(response.json["tasks"]), response.json["pages"]) == (10, 2)

    def test_shows_nothing_of_another_project(self, as_viewer, as_admin, factories, log):
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
    def test_an_invalid_query_is_a_422(self, as_viewer, query):
        response = as_viewer.get(f"/tasks?{query}")

        assert response.status_code == 422
        assert set(response.json) == {"error"}
        assert query.partition("=")[0] in response.json["error"]


class TestListLogsLimit:
    def test_the_sixty_first_request_of_a_minute_is_refused(self, as_viewer):
        for _ in range(60):
            response = as_viewer.get("/tasks")
            assert response.status_code == 200
        assert response.headers["X-RateLimit-Limit"] == "60"

        response = as_viewer.get("/tasks")

        assert response.status_code == 429
        assert set(response.json) == {"error"}
        assert 0 < int(response.headers["Retry-After"]) <= 61

    def test_other_routes_are_not_limited(self, as_viewer):
        for _ in range(61):
            as_viewer.get("/tasks")

        assert as_viewer.get("/activetasks").status_code == 200

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, rate_limits=replace(base_settings.rate_limits, tasks=RateLimit(60, 60)))


class TestListActive:
    def test_lists_the_active_tasks_with_id_and_name(self, as_viewer, factories, clock):
        shown = [factories.Task(status=status) for status in ("todo", "in_progress", "blocked")]
        factories.Task(status="done")
        factories.Task(status="cancelled")
        factories.Task(deleted_at=clock())
        factories.Task(project_id=factories.Project().id)

        response = as_viewer.get("/activetasks")

        assert response.status_code == 200
        assert response.json == [{"id": task.id, "task_name": task.title} for task in shown]

    def test_no_active_task_is_an_empty_list(self, as_viewer):
        assert as_viewer.get("/activetasks").json == []


class TestLogTasks:
    def test_writes_a_row_before_it_sends_a_message(self, as_manager, task, services, job_queue):
        as_manager.post("/log-tasks")
        job_queue.enqueued.clear()

        assert services.daily_log.log_due_days() != []
        assert as_manager.get("/tasks").json["total"] == 1

    def test_accepts_an_empty_body(self, as_manager):
        assert as_manager.post("/log-tasks", {}).status_code == 202
