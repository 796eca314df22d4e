import csv
import io
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.models.people.user import Role
from app.models.tasks.task import Task

EXPORT = "/api/v1/tasks/export"
HEADER = (
    "ref,project,title,description,status,priority,labels,assignee,"
    "start_on,due_at,estimate,recurrence,parent,created_at,started_at,completed_at,external_ref"
)


class TestExport:
    def test_is_a_file_to_save(self, as_viewer, factories):
        task = factories.Task(title="Paint", created_at="2026-03-09T12:00:00Z")

        response = as_viewer.get(EXPORT)

        assert response.status_code == 200
        assert response.content_type == "text/csv; charset=utf-8"
        assert response.headers["Content-Disposition"] == 'attachment; filename="tasks.csv"'
        assert response.headers["Cache-Control"] == "private, no-store"
        assert response.get_data(as_text=True).splitlines() == [
            HEADER,
            f"GEN-{task.number},GEN,Paint,,todo,medium,,,,,,,,2026-03-09T12:00:00.000000+00:00,,,",
        ]

    def test_no_tasks_make_a_header_alone(self, as_viewer):
        assert as_viewer.get(EXPORT).get_data(as_text=True) == HEADER + "\r\n"

    def test_contains_all_tasks(self, as_viewer, factories, monkeypatch):
        monkeypatch.setattr("app.services.tasks.export.PAGE_ROWS", 7)
        for n in range(60):
            factories.Task(title=f"T{n}")

        assert titles_in(as_viewer.get(EXPORT)) == [f"T{n}" for n in range(60)]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", ["Done", "Mine", "Late", "Labelled"]),
            ("status=done", ["Done"]),
            ("status=closed,new&priority=high", ["Late"]),
            ("assignee=me", ["Mine"]),
            ("assignee=none", ["Done", "Late", "Labelled"]),
            ("creator=me", ["Mine"]),
            ("overdue=true", ["Late"]),
            ("overdue=false", ["Done", "Mine", "Labelled"]),
            ("label=x", ["Labelled"]),
            ("project=gen", ["Done", "Mine", "Late", "Labelled"]),
            ("project=NONE", []),
            ("q=labelled", ["Labelled"]),
        ],
    )
    def test_the_filters_of_the_list_apply(self, as_viewer, viewer, factories, clock, query, expected):
        factories.Task(title="Done", status="done")
        factories.Task(title="Mine", assignee_id=viewer.id, creator_id=viewer.id)
        factories.Task(title="Late", due_at=clock() - timedelta(days=1), priority="high")
        factories.Task(title="Labelled", labels=["x"])
        factories.Task(title="Gone", deleted_at=clock())

        response = as_viewer.get(f"{EXPORT}?{query}")

        assert response.status_code == 200
        assert titles_in(response) == expected

    @pytest.mark.parametrize(
        "query", ["sort=title", "limit=10", "cursor=x", "include_total=true", "status=whatever", "colour=red"]
    )
    def test_an_invalid_query_is_a_422(self, as_viewer, query):
        response = as_viewer.get(f"{EXPORT}?{query}")

        assert (response.status_code, response.json["code"]) == (422, "invalid")

    def test_contains_only_ones_own_projects(self, as_viewer, as_manager, admin, client, factories):
        factories.Task(title="Secret", project_id=factories.Project().id)

        assert titles_in(as_viewer.get(EXPORT)) == titles_in(as_manager.get(EXPORT)) == []
        assert titles_in(client.acting_as(admin).get(EXPORT)) == ["Secret"]

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER])
    def test_deleted_tasks_are_only_for_roles_that_may_restore_them(self, client, factories, clock, role):
        factories.Task(title="Gone", deleted_at=clock())

        response = client.acting_as(factories.User(role=role)).get(f"{EXPORT}?deleted=true")

        assert (response.status_code, response.json["code"]) == (403, "forbidden")

    def test_a_manager_gets_deleted_tasks(self, as_manager, factories, clock):
        factories.Task(title="There")
        factories.Task(title="Gone", deleted_at=clock())

        assert titles_in(as_manager.get(f"{EXPORT}?deleted=true")) == ["Gone"]

    def test_a_token_is_required(self, client):
        response = client.get(EXPORT)

        assert (response.status_code, response.json["code"]) == (401, "token_missing")

    def test_can_be_imported_unchanged(self, as_manager, factories, manager, session):
        factories.ProjectMember(project_id=factories.Project(key="OPS").id, user_id=manager.id)
        factories.Task(title="=1+1", description="a\nb", labels=["x,y"], external_ref="A", status="blocked")
        content = as_manager.get(EXPORT).data

        form = {"project": "OPS", "file": (io.BytesIO(content), "tasks.csv")}
        response = as_manager.request("POST", "/api/v1/imports", data=form)

        assert (response.status_code, response.json["created_count"]) == (201, 1)
        first, second = session.scalars(select(Task).order_by(Task.id)).all()
        for name in ("title", "description", "labels", "external_ref", "status", "created_at"):
            assert getattr(first, name) == getattr(second, name)


def titles_in(response):
    header, *rows = csv.reader(io.StringIO(response.get_data(as_text=True), newline=""))
    return [row[header.index("title")] for row in rows]
