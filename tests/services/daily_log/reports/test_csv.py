import csv
import io

import pytest

from app.errors import InvalidError
from app.models.tasks.fields import LOGGED, TaskPriority, TaskStatus
from app.queries.daily_log import TaskLogQuery
from app.repositories.daily_log.export import TaskLogExportRepository
from tests.services.daily_log.reports.week import MONDAY, NOON, TUESDAY, WEDNESDAY, diff


class TestDays:
    def test_each_number_is_a_row(self, service, services, log_day, mia):
        services.tasks.create(mia, {"title": "One", "assignee": "ann"})
        services.tasks.create(mia, {"title": "Two", "status": TaskStatus.BLOCKED, "project": "OPS"})
        log_day()

        header, *rows = days(service, mia)

        assert header == ["log_date", "counted_by", "value", "task_count"]
        assert rows[0] == ["2026-03-09", "all", "", "2"]
        assert rows[1:] == [
            ["2026-03-09", "status", "blocked", "1"],
            ["2026-03-09", "status", "todo", "1"],
            ["2026-03-09", "project", "GEN", "1"],
            ["2026-03-09", "project", "OPS", "1"],
            ["2026-03-09", "assignee", "ann", "1"],
            ["2026-03-09", "assignee", "none", "1"],
        ]

    @pytest.mark.parametrize(
        "filters",
        [{}, {"since": TUESDAY}, {"until": TUESDAY}, {"since": TUESDAY, "until": TUESDAY}, {"project": "OPS"}],
    )
    def test_the_numbers_are_those_of_the_json_on_all_days(self, service, services, log_day, mia, ann, filters):
        for number in range(4):
            for project in ("GEN", "OPS"):
                services.tasks.create(
                    mia, {"title": f"T{number}", "project": project, "assignee": ["ann", None][number % 2]}
                )
            log_day()

        rows = days(service, ann, **filters)[1:]

        expected = [
            [str(day.log_date), counted_by, value, str(task_count)]
            for day in service.count_by_day(ann, TaskLogQuery(**filters)).items
            for counted_by, counts in (
                ("all", {"": day.task_count}),
                ("status", day.by_status),
                ("project", day.by_project),
                ("assignee", day.by_assignee),
            )
            for value, task_count in counts.items()
        ]
        assert sorted(rows) == sorted(expected)
        assert [row[0] for row in rows] == sorted((row[0] for row in rows), reverse=True)

    def test_more_days_than_a_page_holds_are_included(self, service, services, log_day, mia, task_id):
        for _ in range(3):
            log_day()

        rows = days(service, mia, limit=1)[1:]

        assert {row[0] for row in rows} == {"2026-03-09", "2026-03-10", "2026-03-11"}

    def test_days_without_a_visible_task_are_left_out(self, service, services, log_day, mia, viewer, boss):
        services.tasks.create(mia, {"title": "Secret", "project": "OPS"})
        log_day()

        assert days(service, viewer)[1:] == days(service, viewer, project="OPS")[1:] == []
        assert days(service, boss)[1] == ["2026-03-09", "all", "", "1"]

    def test_a_name_that_looks_like_a_formula_is_defused(self, service, log_day, boss, factories):
        factories.Task(assignee_id=factories.User(username="=1+1").id, revised_at=NOON)
        log_day()

        assert ["2026-03-09", "assignee", "'=1+1", "1"] in days(service, boss)


class TestDiff:
    def test_a_row_has_each_field_before_and_after(self, service, services, log_day, mia, task_id):
        services.tasks.create(mia, {"title": "Leaves"})
        log_day()
        services.tasks.change(mia, task_id, {"title": "=Two", "assignee": None, "priority": TaskPriority.HIGH})
        services.tasks.change(mia, task_id + 1, {"status": TaskStatus.DONE})
        services.tasks.create(mia, {"title": "Enters"})
        log_day()

        changed, left, entered = differences(service, mia)

        names = [field.name for field in LOGGED]
        assert list(changed) == [
            "task_id",
            "change",
            *(f"before_{name}" for name in names),
            *(f"after_{name}" for name in names),
        ]
        assert (changed["task_id"], changed["change"]) == (str(task_id), "changed")
        assert (changed["before_title"], changed["after_title"]) == ("One", "'=Two")
        assert (changed["before_assignee"], changed["after_assignee"]) == ("mia", "")
        assert changed["before_due_at"] == changed["after_due_at"] == "2026-03-09T12:00:00.000000+00:00"
        assert (left["change"], left["before_title"], left["after_title"]) == ("left", "Leaves", "")
        assert (entered["change"], entered["before_title"], entered["after_title"]) == ("entered", "", "Enters")

    @pytest.mark.parametrize("slice_rows", [1, 2, 3, 4, 100])
    @pytest.mark.parametrize("project", [None, "OPS"])
    def test_slices_join_without_gaps_or_duplicates(
        self, service, services, log_day, mia, monkeypatch, slice_rows, project
    ):
        monkeypatch.setattr("app.services.daily_log.reports.SLICE_ROWS", slice_rows)
        task_ids = [
            services.tasks.create(mia, {"title": f"T{number}", "project": ["GEN", "OPS"][number % 2]}).id
            for number in range(9)
        ]
        log_day()
        for task_id in task_ids[:3]:
            services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})
        services.tasks.change(mia, task_ids[5], {"title": "Changed"})
        for number in range(4):
            services.tasks.create(mia, {"title": f"N{number}", "project": "OPS"})
        log_day()

        rows = differences(service, mia, project=project)

        items = diff(service, mia, project=project)["items"]
        assert [(row["task_id"], row["change"]) for row in rows] == [
            (str(item["task_id"]), item["change"]) for item in items
        ]
        assert len(items) > 4

    def test_no_slice_is_large_however_different_the_days_are(self, services, log_day, mia, session):
        task_ids = [services.tasks.create(mia, {"title": f"T{number}"}).id for number in range(6)]
        log_day()
        for task_id in task_ids[:5]:
            services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})
        services.tasks.create(mia, {"title": "New"})
        log_day()

        last_id = TaskLogExportRepository(session).last_of_slice(MONDAY, TUESDAY, after_id=0, limit=2)

        assert last_id == task_ids[1]

    def test_a_day_does_not_differ_from_itself(self, service, log_day, mia, task_id):
        log_day()

        assert differences(service, mia, MONDAY, MONDAY) == []

    def test_another_project_has_no_differences(self, service, services, log_day, mia, viewer):
        log_day()
        services.tasks.create(mia, {"title": "One", "project": "OPS"})
        log_day()

        assert differences(service, viewer) == differences(service, viewer, project="OPS") == []

    @pytest.mark.parametrize(
        ("since", "until", "message"),
        [(TUESDAY, MONDAY, "is after"), (MONDAY, WEDNESDAY, "to: 2026-03-11 has not been logged")],
    )
    def test_days_that_cannot_be_compared_are_refused_before_a_row_is_written(
        self, service, log_day, mia, since, until, message
    ):
        log_day()
        log_day()

        with pytest.raises(InvalidError, match=message):
            service.write_diff(mia, since=since, until=until, project=None)


def days(service, actor, **filters):
    return rows_of(service.write_days(actor, TaskLogQuery(**filters)))


def differences(service, actor, since=MONDAY, until=TUESDAY, *, project=None):
    header, *rows = rows_of(service.write_diff(actor, since=since, until=until, project=project))
    return [dict(zip(header, row, strict=True)) for row in rows]


def rows_of(pieces):
    """Read the rows, and check that the pieces count them."""
    pieces = list(pieces)
    rows = list(csv.reader(io.StringIO(b"".join(lines.content for lines in pieces).decode(), newline="")))
    assert sum(lines.row_count for lines in pieces) == len(rows) - 1
    return rows
