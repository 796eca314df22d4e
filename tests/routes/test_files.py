"""The lists and reports that can also be had as files, by `format`."""

import csv
import io

import pytest

from app.models.people.user import Role
from tests.workbook_files import read_workbook

LOGS = "/api/v1/task-logs"
DAYS = f"{LOGS}/days"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PAGED = [LOGS, DAYS, f"{LOGS}/diff?from=2026-03-09&to=2026-03-09"]
REPORTS = [f"/api/v1/reports/{name}" for name in ("flow", "cycle-time", "aging")]


class TestFiles:
    @pytest.mark.parametrize(
        ("path", "filename", "first_column"),
        [
            (LOGS, "task-log.csv", "id"),
            (f"{LOGS}?date={{day}}", "task-log-{day}.csv", "id"),
            (f"{LOGS}?from={{day}}&to={{day}}", "task-log-{day}.csv", "id"),
            (f"{LOGS}?from=2026-03-01&to={{day}}", "task-log-from-2026-03-01-to-{day}.csv", "id"),
            (f"{LOGS}?from=2026-03-01&project=gen", "task-log-GEN-from-2026-03-01.csv", "id"),
            (f"{DAYS}?to={{day}}", "task-log-days-to-{day}.csv", "log_date"),
            (f"{LOGS}/diff?from={{day}}&to={{day}}", "task-log-diff-{day}.csv", "task_id"),
            ("/api/v1/reports/flow?from={day}&to={day}", "flow-{day}.csv", "date"),
            ("/api/v1/reports/cycle-time?from=2026-03-01&to=2026-03-31&project=GEN",
             "cycle-time-GEN-from-2026-03-01-to-2026-03-31.csv", "week"),
            ("/api/v1/reports/aging", "aging.csv", "from_days"),
        ],
    )  # fmt: skip
    def test_a_csv_file_says_what_it_is(self, as_viewer, logged_day, path, filename, first_column):
        path, filename = (text.format(day=logged_day) for text in (path, filename))

        response = as_viewer.get(with_format(path, "csv"))

        header, *rows = csv.reader(io.StringIO(response.get_data(as_text=True), newline=""))
        assert (response.status_code, response.content_type) == (200, "text/csv; charset=utf-8")
        assert response.headers["Content-Disposition"] == f'attachment; filename="{filename}"'
        assert response.headers["Cache-Control"] == "private, no-store"
        assert response.headers["X-Row-Count"] == str(len(rows))
        assert response.headers["Content-Length"] == str(len(response.data))
        assert header[0] == first_column

    def test_the_log_of_a_day_is_a_workbook(self, as_viewer, logged_day):
        response = as_viewer.get(f"{LOGS}?date={logged_day}&format=xlsx")

        sheet = read_workbook(response.data)
        assert (response.status_code, response.content_type) == (200, XLSX)
        assert response.headers["Content-Disposition"] == f'attachment; filename="task-log-{logged_day}.xlsx"'
        assert response.headers["X-Row-Count"] == "1"
        assert response.headers["Content-Length"] == str(len(response.data))
        assert sheet.name == str(logged_day)
        assert [row[5] for row in sheet.rows] == ["title", "=Paint"]

    @pytest.mark.parametrize("path", [*PAGED, *REPORTS])
    def test_json_may_be_asked_for_by_name(self, as_viewer, logged_day, path):
        path = path.replace("2026-03-09", str(logged_day))

        answer = as_viewer.get(with_format(path, "json"))

        assert answer.content_type == "application/json"
        assert answer.json["items"] == as_viewer.get(path).json["items"]


class TestRefusals:
    @pytest.mark.parametrize("path", PAGED)
    @pytest.mark.parametrize(("name", "value"), [("limit", "50"), ("cursor", "abc")])
    def test_a_file_has_no_pages(self, as_viewer, path, name, value):
        response = as_viewer.get(f"{with_format(path, 'csv')}&{name}={value}")

        assert (response.status_code, response.json["code"]) == (422, "invalid")
        assert response.json["errors"] == [{"pointer": f"/{name}", "detail": "Leave it out: a file holds all rows."}]

    def test_a_file_has_no_total_either(self, as_viewer):
        response = as_viewer.get(f"{LOGS}?date=2026-03-09&format=xlsx&include_total=true")

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/include_total")

    @pytest.mark.parametrize("path", PAGED)
    def test_pages_of_json_are_as_before(self, as_viewer, logged_day, path):
        path = path.replace("2026-03-09", str(logged_day))

        assert as_viewer.get(f"{with_format(path, 'json')}&limit=1").status_code == 200

    @pytest.mark.parametrize("query", ["", "from=2026-03-09&to=2026-03-09&"])
    def test_a_workbook_is_of_one_day(self, as_viewer, query):
        response = as_viewer.get(f"{LOGS}?{query}format=xlsx")

        assert response.status_code == 422
        assert response.json["errors"] == [{"pointer": "/date", "detail": "Say which day: an XLSX file holds one day."}]

    @pytest.mark.parametrize("path", [*PAGED[1:], *REPORTS])
    def test_only_the_log_of_a_day_can_be_a_workbook(self, as_viewer, path):
        response = as_viewer.get(with_format(path, "xlsx"))

        assert response.status_code == 422
        assert response.json["errors"] == [{"pointer": "/format", "detail": "Must be one of: json, csv."}]

    @pytest.mark.parametrize("path", [*PAGED, *REPORTS])
    def test_an_unknown_format_is_named(self, as_viewer, path):
        response = as_viewer.get(with_format(path, "pdf"))

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/format")

    def test_more_rows_than_a_sheet_holds_are_refused(self, as_viewer, logged_day, monkeypatch):
        monkeypatch.setattr("app.services.daily_log.export.MAX_ROWS", 0)

        response = as_viewer.get(f"{LOGS}?date={logged_day}&format=xlsx")

        assert (response.status_code, response.json["code"]) == (422, "invalid")
        assert response.json["errors"][0]["pointer"] == "/format"
        assert "ask for csv" in response.json["detail"]

    def test_a_day_that_was_not_logged_cannot_be_compared(self, as_viewer):
        response = as_viewer.get(f"{LOGS}/diff?from=2001-01-01&to=2001-01-01&format=csv")

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/from")
        assert "Content-Disposition" not in response.headers

    @pytest.mark.parametrize("path", [*PAGED, *REPORTS])
    def test_a_stranger_gets_no_file(self, client, path):
        assert client.get(with_format(path, "csv")).status_code == 401


class TestVisibility:
    @pytest.mark.parametrize("query", ["date={day}&format=csv", "date={day}&format=xlsx", "project=OPS&format=csv"])
    def test_a_log_has_no_row_of_anothers_project(self, as_viewer, as_admin, logged_day, query):
        path = f"{LOGS}?{query.format(day=logged_day)}"

        seen, all_rows = (int(each.get(path).headers["X-Row-Count"]) for each in (as_viewer, as_admin))

        assert all_rows - seen == 1

    @pytest.mark.parametrize("path", [f"{DAYS}?project=OPS", "/api/v1/reports/cycle-time?project=OPS"])
    def test_a_report_has_no_number_of_anothers_project(self, client, factories, logged_day, path):
        manager = client.acting_as(factories.User(role=Role.MANAGER))

        assert manager.get(with_format(path, "csv")).headers["X-Row-Count"] == "0"


def with_format(path, name):
    return f"{path}{'&' if '?' in path else '?'}format={name}"


@pytest.fixture
def logged_day(services, boss, factories, ops, clock):
    """Today, with a task that everybody sees and one in OPS."""
    factories.Task(title="=Paint")
    factories.Task(title="Secret", project_id=ops.id)
    services.daily_log.request_day(boss, None)
    services.daily_log.log_due_days()
    return clock().date()
