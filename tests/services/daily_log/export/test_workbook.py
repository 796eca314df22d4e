from datetime import datetime

import pytest

from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.queries.daily_log import TaskLogQuery
from app.workbooks import SheetIsFullError
from tests.services.daily_log.days.march import MORNING, NOON, YESTERDAY, task_since
from tests.services.daily_log.export.rows import exported
from tests.workbook_files import read_workbook


class TestWorkbook:
    def test_a_row_has_the_values_of_the_csv_with_real_dates(self, service, boss, factories, log_days):
        ada = factories.User(username="Ada")
        task = task_since(MORNING, title="=SUM(A1:A9)", assignee_id=ada.id, due_at=NOON)
        log_days(1)

        sheet = workbook(service, boss)

        (as_csv,) = exported(service, boss)
        assert sheet.name == "2026-03-09"
        assert sheet.rows == [
            [*list(as_csv)[:-1], "due_at (UTC)"],
            [
                float(as_csv["id"]),
                YESTERDAY,
                float(task.id),
                f"GEN-{task.number}",
                "GEN",
                "=SUM(A1:A9)",
                "todo",
                "medium",
                "Ada",
                datetime(2026, 3, 10, 12),  # noqa: DTZ001 - as the sheet shows it
            ],
        ]
        assert sheet.formula_count == 0

    @pytest.mark.parametrize("zone", ["Europe/Berlin"])
    def test_times_are_in_the_time_zone_of_the_workspace(self, service, boss, log_days):
        task_since(MORNING, due_at=datetime.fromisoformat("2026-03-09T23:30:00Z"))
        log_days(1)

        header, row = workbook(service, boss).rows

        assert (header[-1], row[-1]) == ("due_at (Europe/Berlin)", datetime(2026, 3, 10, 0, 30))  # noqa: DTZ001

    def test_slices_join_without_gaps_or_duplicates(self, service, boss, log_days, small_slices):
        tasks = [task_since(MORNING) for _ in range(5)]
        log_days(2)

        assert column(workbook(service, boss), "task_id") == [task.id for task in tasks]

    def test_filters_select_rows(self, service, boss, log_days):
        task_since(MORNING, title="Blocked", status="blocked")
        task_since(MORNING, title="Other")
        log_days(1)

        assert column(workbook(service, boss, status=TaskStatus.BLOCKED), "title") == ["Blocked"]

    def test_has_only_ones_own_projects(self, service, factories, acting_as, ops, log_days):
        task_since(MORNING, title="Secret", project_id=ops.id)
        task_since(MORNING, title="Shared")
        log_days(1)

        viewer = acting_as(factories.User(role=Role.VIEWER))
        assert column(workbook(service, viewer), "title") == ["Shared"]

    def test_a_day_that_was_not_logged_is_a_header(self, service, boss):
        assert len(workbook(service, boss).rows) == 1

    def test_too_many_rows_are_refused_before_any_is_written(self, service, boss, log_days, monkeypatch):
        monkeypatch.setattr("app.services.daily_log.export.MAX_ROWS", 2)
        for _ in range(3):
            task_since(MORNING)
        log_days(1)

        with pytest.raises(SheetIsFullError):
            service.write_workbook(boss, TaskLogQuery(on=YESTERDAY))

    def test_only_the_selected_rows_need_room(self, service, boss, log_days, monkeypatch):
        monkeypatch.setattr("app.services.daily_log.export.MAX_ROWS", 2)
        for status in ("todo", "todo", "blocked"):
            task_since(MORNING, status=status)
        log_days(2)

        assert len(workbook(service, boss, status=TaskStatus.TODO).rows) == 3


def workbook(service, actor, **filters):
    pieces = service.write_workbook(actor, TaskLogQuery(on=YESTERDAY, **filters))
    return read_workbook(b"".join(piece.content for piece in pieces))


def column(sheet, name):
    header, *rows = sheet.rows
    return [row[header.index(name)] for row in rows]
