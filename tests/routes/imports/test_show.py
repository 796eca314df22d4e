import csv
import io

import pytest
from sqlalchemy import select

from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from tests.routes.imports.uploads import CSV, FIELDS, IMPORTS, upload

PROBLEM_FIELDS = {"row", "line", "sheet_row", "column", "value", "reason", "message"}
UNKNOWN_ID = 999_999_999


class TestList:
    def test_lists_the_newest_first_over_all_pages(self, as_manager):
        ids = [upload(as_manager, b"task_name\nOf %d\n" % n).json["id"] for n in range(3)]

        first = as_manager.get(f"{IMPORTS}?limit=2")
        second = as_manager.get(f"{IMPORTS}?limit=2&cursor={first.json['next_cursor']}")

        assert first.status_code == 200
        assert [item["id"] for item in first.json["items"] + second.json["items"]] == ids[::-1]
        assert all(set(item) == FIELDS for item in first.json["items"])

    def test_lists_only_imports_of_ones_own_projects(self, as_manager, secret_import):
        assert as_manager.get(IMPORTS).json["items"] == []

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER])
    def test_a_user_may_not(self, client, factories, role):
        assert client.acting_as(factories.User(role=role)).get(IMPORTS).status_code == 403


class TestShow:
    def test_an_import_of_another_manager_is_shown(self, as_manager, client, factories):
        location = upload(as_manager, CSV).headers["Location"]

        other = client.acting_as(factories.User(role=Role.MANAGER))
        assert other.get(location).status_code == 200

    def test_an_import_of_another_project_is_not_found(self, as_manager, as_admin, secret_import):
        response = as_manager.get(f"{IMPORTS}/{secret_import}")

        assert (response.status_code, response.json["code"]) == (404, "not_found")
        assert as_admin.get(f"{IMPORTS}/{secret_import}").status_code == 200

    @pytest.mark.parametrize("unknown", [UNKNOWN_ID, 0, 2**63, "one"])
    def test_an_unknown_import_is_not_found(self, as_manager, unknown):
        assert as_manager.get(f"{IMPORTS}/{unknown}").status_code == 404

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER])
    def test_a_user_may_not(self, client, factories, as_manager, role):
        location = upload(as_manager, CSV).headers["Location"]

        assert client.acting_as(factories.User(role=role)).get(location).status_code == 403


class TestErrors:
    def test_each_problem_has_its_place_and_its_reason(self, as_manager):
        location = upload(as_manager, CSV).headers["Location"]

        response = as_manager.get(f"{location}/errors")

        reason = "'maybe' is not a status; say one of todo, in_progress, blocked, done, cancelled"
        assert response.status_code == 200
        assert response.json["items"] == [
            {
                "row": 2,
                "line": 3,
                "sheet_row": 3,
                "column": "status",
                "value": "maybe",
                "reason": reason,
                "message": f"line 3 (row 3 of the sheet), column status: {reason}",
            }
        ]

    def test_a_problem_of_a_whole_row_names_no_column(self, as_manager):
        location = upload(as_manager, b"task_name,status\nOne\n").headers["Location"]

        (problem,) = as_manager.get(f"{location}/errors").json["items"]

        assert set(problem) == PROBLEM_FIELDS
        assert (problem["column"], problem["value"]) == (None, None)
        assert problem["message"] == "line 2 (row 2 of the sheet): has 1 cell, the header has 2"

    @pytest.mark.parametrize(
        ("codec", "charset"), [("utf-8", "utf-8"), ("cp1252", "windows-1252"), ("utf-16-le", "utf-16le")]
    )
    def test_a_file_has_the_encoding_and_the_delimiter_of_the_upload(self, as_manager, codec, charset):
        mark = b"\xff\xfe" if codec == "utf-16-le" else b""
        location = upload(as_manager, mark + "task_name;status\nZoë;maybe\n".encode(codec)).headers["Location"]

        response = as_manager.get(f"{location}/errors?format=csv")

        assert response.headers["Content-Type"] == f"text/csv; charset={charset}"
        assert response.data.startswith(mark)
        assert response.data.removeprefix(mark).decode(codec).splitlines()[1].startswith('Zoë;maybe;"line 2 (row 2 of')

    def test_pages_join_without_gaps(self, as_manager):
        location = upload(as_manager, b"task_name,status\n" + b"One,maybe\n" * 5).headers["Location"]

        first = as_manager.get(f"{location}/errors?limit=3")
        second = as_manager.get(f"{location}/errors?limit=3&cursor={first.json['next_cursor']}")

        assert [item["row"] for item in first.json["items"] + second.json["items"]] == [1, 2, 3, 4, 5]
        assert 'rel="next"' in first.headers["Link"]

    def test_a_dry_run_has_the_same_errors(self, as_manager):
        dry, real = (upload(as_manager, CSV, dry_run=word).headers["Location"] for word in ("true", "false"))

        assert as_manager.get(f"{dry}/errors").json == as_manager.get(f"{real}/errors").json

    @pytest.mark.parametrize("query", ["format=xml", "format=", "limit=0", "colour=red"])
    def test_an_invalid_query_is_a_422(self, as_manager, query):
        location = upload(as_manager, CSV).headers["Location"]

        assert as_manager.get(f"{location}/errors?{query}").status_code == 422

    @pytest.mark.parametrize("form", ["json", "csv"])
    def test_errors_of_another_project_are_not_found(self, as_manager, secret_import, form):
        response = as_manager.get(f"{IMPORTS}/{secret_import}/errors?format={form}")

        assert (response.status_code, response.json["code"]) == (404, "not_found")

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER])
    @pytest.mark.parametrize("form", ["json", "csv"])
    def test_a_user_may_not(self, client, factories, as_manager, role, form):
        location = upload(as_manager, CSV).headers["Location"]

        response = client.acting_as(factories.User(role=role)).get(f"{location}/errors?format={form}")

        assert response.status_code == 403


class TestErrorsAsCsv:
    def test_is_a_file_to_save(self, as_manager):
        created = upload(as_manager, CSV)

        response = as_manager.get(f"{created.headers['Location']}/errors?format=csv")

        name = f"import-{created.json['id']}-errors.csv"
        assert response.status_code == 200
        assert response.content_type == "text/csv; charset=utf-8"
        assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        assert response.headers["Cache-Control"] == "private, no-store"
        header, row = csv.reader(io.StringIO(response.get_data(as_text=True), newline=""))
        assert header == ["task_name", "status", "error"]
        assert row[:2] == ["Two", "maybe"]
        assert row[2].startswith("line 3 (row 3 of the sheet), column status: 'maybe' is not a status")

    def test_is_imported_after_correction(self, as_manager, session):
        location = upload(as_manager, CSV).headers["Location"]
        report = as_manager.get(f"{location}/errors?format=csv").data

        response = upload(as_manager, report.replace(b"maybe", b"blocked"))

        assert response.status_code == 201
        assert (response.json["created_count"], response.json["refused_count"]) == (1, 0)
        assert response.json["ignored_columns"] == []
        assert session.scalars(select(Task).where(Task.title == "Two")).one().status is TaskStatus.BLOCKED

    def test_contains_all_errors_at_once(self, as_manager):
        location = upload(as_manager, b"task_name,status\n" + b"One,maybe\n" * 1_200).headers["Location"]

        report = as_manager.get(f"{location}/errors?format=csv").data

        assert report.count(b"One,maybe") == 1_200

    @pytest.mark.parametrize(("name", "value"), [("limit", "1"), ("cursor", "abc")])
    def test_has_no_pages(self, as_manager, name, value):
        location = upload(as_manager, CSV).headers["Location"]

        response = as_manager.get(f"{location}/errors?format=csv&{name}={value}")

        assert response.status_code == 422
        assert response.json["errors"] == [{"pointer": f"/{name}", "detail": "Leave it out: a file holds all rows."}]


@pytest.fixture
def secret_import(as_admin, factories):
    """An import into a project that only admins can see."""
    factories.Project(key="SECRET")
    return upload(as_admin, CSV, project="SECRET").json["id"]
