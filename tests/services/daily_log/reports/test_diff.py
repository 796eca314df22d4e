from datetime import date, timedelta

import pytest
from sqlalchemy import delete

from app.errors import InvalidError
from app.models.daily_log.task_log import TaskLog
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.queries.pages import Position, encode_cursor
from app.services.daily_log.reports import SORT
from tests.services.daily_log.reports.week import MONDAY, NONE_OF_EACH, NOON, TUESDAY, WEDNESDAY, changes_of, diff


class TestDiff:
    def test_a_new_task_has_entered(self, service, services, log_day, mia):
        log_day()
        new = services.tasks.create(
            mia, {"title": "New", "priority": TaskPriority.HIGH, "assignee": "mia", "due_at": NOON}
        )
        log_day()

        body = diff(service, mia)

        state = {
            "ref": new.values["ref"],
            "project": "GEN",
            "title": "New",
            "status": "todo",
            "priority": "high",
            "assignee": "mia",
            "due_at": "2026-03-09T12:00:00.000000+00:00",
        }
        assert body["items"] == [{"task_id": new.id, "change": "entered", "before": None, "after": state}]
        assert body["counts"] == {**NONE_OF_EACH, "entered": 1}

    @pytest.mark.parametrize("status", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_an_ended_task_has_left(self, service, services, log_day, mia, task_id, status):
        log_day()
        services.tasks.change(mia, task_id, {"status": status})
        log_day()

        body = diff(service, mia)

        assert [(item["change"], item["after"]) for item in body["items"]] == [("left", None)]
        assert body["items"][0]["before"]["status"] == "todo"
        assert body["counts"] == {**NONE_OF_EACH, "left": 1}

    def test_a_deleted_task_has_left_and_a_restored_one_has_entered(self, service, services, log_day, mia, task_id):
        log_day()
        services.tasks.delete(mia, task_id)
        log_day()
        services.tasks.restore(mia, task_id)
        log_day()

        assert changes_of(diff(service, mia, MONDAY, TUESDAY)) == {task_id: "left"}
        assert changes_of(diff(service, mia, TUESDAY, WEDNESDAY)) == {task_id: "entered"}
        assert changes_of(diff(service, mia, MONDAY, WEDNESDAY)) == {}

    @pytest.mark.parametrize(
        ("changes", "before", "after"),
        [
            ({"title": "Two"}, {"title": "One"}, {"title": "Two"}),
            ({"status": TaskStatus.BLOCKED}, {"status": "todo"}, {"status": "blocked"}),
            ({"priority": TaskPriority.CRITICAL}, {"priority": "medium"}, {"priority": "critical"}),
            ({"assignee": "ann"}, {"assignee": "mia"}, {"assignee": "ann"}),
            ({"assignee": None}, {"assignee": "mia"}, {"assignee": None}),
            ({"due_at": None}, {"due_at": "2026-03-09T12:00:00.000000+00:00"}, {"due_at": None}),
            ({"project": "OPS"}, {"project": "GEN"}, {"project": "OPS", "ref": "OPS-1"}),
        ],
    )
    def test_a_task_with_other_fields_has_changed(
        self, service, services, log_day, mia, task_id, changes, before, after
    ):
        log_day()
        services.tasks.change(mia, task_id, changes)
        log_day()

        body = diff(service, mia)

        (item,) = body["items"]
        assert (item["task_id"], item["change"]) == (task_id, "changed")
        assert {name: item["before"][name] for name in before} == before
        assert {name: item["after"][name] for name in after} == after
        assert body["counts"] == {**NONE_OF_EACH, "changed": 1}

    @pytest.mark.parametrize(
        "changes", [{"description": "long"}, {"labels": ["red"]}, {"position": 7.0}, {"external_ref": "A"}]
    )
    def test_a_field_outside_the_log_is_not_a_change(self, service, services, log_day, mia, task_id, changes):
        log_day()
        services.tasks.change(mia, task_id, changes)
        log_day()

        assert diff(service, mia) == {"items": [], "next_cursor": None, "counts": NONE_OF_EACH}

    def test_a_change_that_was_undone_is_not_a_change(self, service, services, log_day, mia, task_id):
        log_day()
        for title in ("Two", "One"):
            services.tasks.change(mia, task_id, {"title": title})
        log_day()

        assert diff(service, mia)["items"] == []

    def test_a_task_that_came_and_went_on_one_day_is_not_listed(self, service, services, log_day, mia):
        log_day()
        task = services.tasks.create(mia, {"title": "Short"})
        services.tasks.change(mia, task.id, {"status": TaskStatus.DONE})
        log_day()

        assert diff(service, mia)["items"] == []

    def test_a_day_has_no_difference_from_itself(self, service, log_day, mia, task_id):
        log_day()

        assert diff(service, mia, MONDAY, MONDAY) == {"items": [], "next_cursor": None, "counts": NONE_OF_EACH}

    def test_days_in_between_do_not_count(self, service, services, log_day, mia, task_id):
        log_day()
        services.tasks.change(mia, task_id, {"title": "Two"})
        log_day()
        services.tasks.change(mia, task_id, {"title": "Three"})
        log_day()

        (item,) = diff(service, mia, MONDAY, WEDNESDAY)["items"]

        assert (item["before"]["title"], item["after"]["title"]) == ("One", "Three")

    def test_a_reversed_range_is_refused(self, service, log_day, mia, task_id):
        log_day()
        log_day()

        with pytest.raises(InvalidError, match="from: is after `to`"):
            diff(service, mia, TUESDAY, MONDAY)

    def test_a_day_whose_rows_are_gone_is_refused(self, service, log_day, mia, session, task_id):
        log_day()
        log_day()
        session.execute(delete(TaskLog).where(TaskLog.log_date == MONDAY))

        with pytest.raises(InvalidError, match="from: the log of 2026-03-09 is no longer kept"):
            diff(service, mia)

    def test_a_day_without_rows_counts_as_empty(self, service, services, log_day, mia):
        log_day()
        new = services.tasks.create(mia, {"title": "New"})
        log_day()

        assert changes_of(diff(service, mia)) == {new.id: "entered"}

    def test_outlives_the_tasks(self, service, services, log_day, mia, session, task_id):
        log_day()
        services.tasks.change(mia, task_id, {"title": "Two"})
        log_day()
        session.execute(delete(Task).where(Task.id == task_id))

        assert changes_of(diff(service, mia)) == {task_id: "changed"}

    @pytest.mark.parametrize(
        ("since", "until", "field"),
        [
            (MONDAY - timedelta(days=1), TUESDAY, "from"),
            (MONDAY, WEDNESDAY, "to"),
            (date(1999, 1, 1), date(9998, 1, 1), "from"),
        ],
    )
    def test_a_day_that_was_not_logged_is_refused(self, service, log_day, mia, task_id, since, until, field):
        log_day()
        log_day()

        with pytest.raises(InvalidError, match="has not been logged") as refused:
            diff(service, mia, since, until)

        assert str(refused.value).startswith(field)

    def test_today_counts_as_far_as_it_is_logged(self, service, services, log_day, mia, task_id):
        log_day()
        services.tasks.change(mia, task_id, {"title": "Two"})
        services.daily_log.request_day(mia, None)
        services.daily_log.log_due_days()

        assert changes_of(diff(service, mia, MONDAY, TUESDAY)) == {task_id: "changed"}


class TestDiffOfProjects:
    def test_shows_only_ones_own_projects(self, service, services, log_day, mia, viewer):
        task = services.tasks.create(mia, {"title": "Leaves", "project": "OPS"})
        log_day()
        services.tasks.change(mia, task.id, {"status": TaskStatus.DONE})
        services.tasks.create(mia, {"title": "Enters", "project": "OPS"})
        log_day()

        assert diff(service, viewer) == {"items": [], "next_cursor": None, "counts": NONE_OF_EACH}
        assert diff(service, mia)["counts"] == {"entered": 1, "left": 1, "changed": 0}

    def test_a_task_that_moves_between_projects_enters_or_leaves(self, service, services, log_day, mia, viewer):
        outward = services.tasks.create(mia, {"title": "Outward"})
        inward = services.tasks.create(mia, {"title": "Inward", "project": "OPS"})
        log_day()
        services.tasks.change(mia, outward.id, {"project": "OPS", "title": "Secret"})
        services.tasks.change(mia, inward.id, {"project": "GEN"})
        log_day()

        body = diff(service, viewer)

        assert changes_of(body) == {outward.id: "left", inward.id: "entered"}
        assert [item["before"] and item["before"]["title"] for item in body["items"]] == ["Outward", None]
        assert "OPS" not in str(body)
        assert changes_of(diff(service, mia)) == {outward.id: "changed", inward.id: "changed"}

    def test_a_project_may_be_selected(self, service, services, log_day, mia):
        log_day()
        in_ops = services.tasks.create(mia, {"title": "One", "project": "OPS"})
        in_gen = services.tasks.create(mia, {"title": "Two"})
        log_day()

        assert changes_of(diff(service, mia, project="OPS")) == {in_ops.id: "entered"}
        assert changes_of(diff(service, mia, project="GEN")) == {in_gen.id: "entered"}
        assert diff(service, mia, project="NONE")["counts"] == NONE_OF_EACH

    def test_another_project_has_no_differences(self, service, services, log_day, mia, viewer):
        log_day()
        services.tasks.create(mia, {"title": "One", "project": "OPS"})
        log_day()

        assert diff(service, viewer, project="OPS") == {"items": [], "next_cursor": None, "counts": NONE_OF_EACH}

    def test_an_admin_sees_all_projects(self, service, services, log_day, mia, boss):
        log_day()
        services.tasks.create(mia, {"title": "One", "project": "OPS"})
        log_day()

        assert diff(service, boss)["counts"] == {**NONE_OF_EACH, "entered": 1}


class TestDiffPages:
    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 200])
    def test_join_without_gaps_and_only_the_first_has_the_counts(self, service, mia, seven_differences, limit):
        all_items = diff(service, mia)

        pages = diff_pages(service, mia, limit=limit)

        assert [item for page in pages for item in page["items"]] == all_items["items"]
        assert [item["task_id"] for item in all_items["items"]] == seven_differences
        assert pages[0]["counts"] == all_items["counts"] == {"entered": 3, "left": 2, "changed": 2}
        assert not any("counts" in page for page in pages[1:])

    def test_a_cursor_of_another_list_is_refused(self, service, mia, seven_differences):
        with pytest.raises(InvalidError, match="another sort order"):
            diff(service, mia, cursor=encode_cursor(SORT, Position("2026-03-09", 0)))

    def test_a_changed_cursor_is_refused(self, service, mia, seven_differences):
        with pytest.raises(InvalidError, match="not a cursor"):
            diff(service, mia, cursor=encode_cursor("task_id", Position("one", 1)))


def diff_pages(service, actor, *, limit):
    pages, cursor = [], None
    while True:
        page = diff(service, actor, cursor=cursor, limit=limit)
        pages.append(page)
        cursor = page["next_cursor"]
        if cursor is None:
            return pages


@pytest.fixture
def seven_differences(services, log_day, mia):
    """Seven differences among tasks that stay unchanged; return the ids of the tasks."""
    task_ids = [services.tasks.create(mia, {"title": f"T{number}", "project": "OPS"}).id for number in range(8)]
    log_day()
    for task_id in task_ids[0:4:2]:
        services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})
    for task_id in task_ids[1:4:2]:
        services.tasks.change(mia, task_id, {"title": "Changed"})
    new = [services.tasks.create(mia, {"title": f"N{number}"}).id for number in range(3)]
    log_day()
    return [*task_ids[:4], *new]
