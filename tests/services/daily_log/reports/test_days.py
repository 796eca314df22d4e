from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from marshmallow import RAISE

from app.errors import InvalidError
from app.models.tasks.fields import TaskStatus
from app.queries.daily_log import TaskLogQuery
from app.queries.pages import Position, encode_cursor
from app.routes.daily_log import with_link
from app.schemas.daily_log import LogDayPage, TaskLogListQuery
from app.services.daily_log.reports import SORT
from tests.services.daily_log.reports.week import MONDAY, TUESDAY, WEDNESDAY, changes_of, diff


class TestDays:
    def test_count_by_status_project_and_assignee(self, service, services, log_day, mia):
        services.tasks.create(mia, {"title": "One", "assignee": "ann"})
        services.tasks.create(mia, {"title": "Two", "assignee": "ann", "status": TaskStatus.BLOCKED, "project": "OPS"})
        services.tasks.create(mia, {"title": "Three", "assignee": "mia", "project": "OPS"})
        services.tasks.create(mia, {"title": "Four"})
        services.tasks.create(mia, {"title": "Done", "status": TaskStatus.DONE})
        log_day()

        (day,) = days(service, mia)

        assert day == {
            "log_date": "2026-03-09",
            "task_count": 4,
            "by_status": {"todo": 3, "blocked": 1},
            "by_project": {"GEN": 2, "OPS": 2},
            "by_assignee": {"ann": 2, "mia": 1, "none": 1},
            "tasks": "/api/v1/task-logs?date=2026-03-09",
        }

    def test_count_each_day_as_it_was_and_list_the_newest_first(self, service, services, log_day, mia, boss, task_id):
        log_day()
        services.tasks.change(mia, task_id, {"status": TaskStatus.IN_PROGRESS, "project": "OPS", "assignee": None})
        log_day()
        services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})
        log_day()

        listed = days(service, boss)

        assert [day["log_date"] for day in listed] == ["2026-03-11", "2026-03-10", "2026-03-09"]
        assert [day["task_count"] for day in listed] == [0, 1, 1]
        assert [day["by_status"] for day in listed] == [{}, {"in_progress": 1}, {"todo": 1}]
        assert [day["by_project"] for day in listed] == [{}, {"OPS": 1}, {"GEN": 1}]
        assert [day["by_assignee"] for day in listed] == [{}, {"none": 1}, {"mia": 1}]

    def test_of_one_project_count_its_tasks_of_that_day(self, service, services, log_day, mia, task_id):
        services.tasks.create(mia, {"title": "In OPS", "project": "OPS", "assignee": "ann"})
        log_day()

        (of_ops,) = days(service, mia, project="OPS")

        assert (of_ops["task_count"], of_ops["by_project"], of_ops["by_assignee"]) == (1, {"OPS": 1}, {"ann": 1})
        assert of_ops["tasks"] == "/api/v1/task-logs?date=2026-03-09&project=OPS"
        assert days(service, mia, project="NONE") == []

    @pytest.mark.parametrize("project", [None, "OPS", "GEN"])
    def test_every_number_equals_the_rows_that_it_links_to(self, service, services, log_day, mia, many_tasks, project):
        log_day()
        many_tasks(3)
        log_day()

        for day in days(service, mia, project=project):
            assert day["task_count"] == total_of(services, mia, day["tasks"]) > 0
            for parameter in ("status", "project", "assignee"):
                numbers = day[f"by_{parameter}"]
                assert sum(numbers.values()) == day["task_count"]
                for value, count in numbers.items():
                    assert count == total_of(services, mia, day["tasks"], **{parameter: value}) > 0

    def test_a_viewer_sees_only_their_own_projects(self, service, services, log_day, mia, viewer, task_id):
        services.tasks.create(
            mia, {"title": "Secret", "project": "OPS", "assignee": "ann", "status": TaskStatus.BLOCKED}
        )
        log_day()

        (day,) = days(service, viewer)

        assert (day["task_count"], day["by_status"], day["by_project"]) == (1, {"todo": 1}, {"GEN": 1})
        assert day["by_assignee"] == {"mia": 1}
        assert total_of(services, viewer, day["tasks"]) == 1

    def test_days_without_a_visible_task_are_left_out(self, service, services, log_day, mia, viewer):
        services.tasks.create(mia, {"title": "Secret", "project": "OPS"})
        log_day()

        assert days(service, viewer) == days(service, viewer, project="OPS") == []
        assert days(service, replace(mia, project_ids=frozenset())) == []

    def test_days_without_a_task_are_shown_to_admins(self, service, log_day, boss):
        log_day()

        (day,) = days(service, boss)

        assert (day["task_count"], day["by_status"], day["by_project"], day["by_assignee"]) == (0, {}, {}, {})

    def test_days_that_were_not_logged_are_left_out(self, service, mia, task_id):
        assert days(service, mia) == []

    @pytest.mark.parametrize(
        ("since", "until", "expected"),
        [
            (None, None, [11, 10, 9]),
            (TUESDAY, None, [11, 10]),
            (None, TUESDAY, [10, 9]),
            (TUESDAY, TUESDAY, [10]),
            (WEDNESDAY, MONDAY, []),
        ],
    )
    def test_a_range_selects_days(self, service, log_day, mia, task_id, since, until, expected):
        for _ in range(3):
            log_day()

        listed = days(service, mia, since=since, until=until)

        assert [day["log_date"] for day in listed] == [f"2026-03-{number:02}" for number in expected]


class TestDayPages:
    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("until", [None, TUESDAY, date(2030, 1, 1)])
    def test_join_without_gaps_or_duplicates(self, service, log_day, mia, task_id, limit, until):
        for _ in range(4):
            log_day()
        query = TaskLogQuery(since=MONDAY, until=until)
        all_items = days_page(service, mia, query)["items"]

        listed = day_pages(service, mia, replace(query, limit=limit))

        assert listed == all_items
        assert len(listed) == (2 if until == TUESDAY else 4)

    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_join_even_if_a_page_has_no_visible_task(self, service, services, log_day, mia, viewer, limit):
        task = services.tasks.create(mia, {"title": "One"})
        for project in ("OPS", "OPS", "GEN"):
            log_day()
            services.tasks.change(mia, task.id, {"project": project})
        log_day()

        listed = day_pages(service, viewer, TaskLogQuery(limit=limit))

        assert [day["log_date"] for day in listed] == ["2026-03-12", "2026-03-09"]

    def test_a_cursor_of_another_list_is_refused(self, service, mia):
        with pytest.raises(InvalidError, match="another sort order"):
            days_page(service, mia, TaskLogQuery(cursor=encode_cursor("task_id", Position("1", 1))))

    @pytest.mark.parametrize("key", ["", "yesterday", "2026-02-30"])
    def test_a_changed_cursor_is_refused(self, service, mia, key):
        with pytest.raises(InvalidError, match="not a cursor"):
            days_page(service, mia, TaskLogQuery(cursor=encode_cursor(SORT, Position(key, 0))))

    def test_no_page_comes_after_the_first_day_of_all(self, service, log_day, mia, task_id):
        log_day()
        cursor = encode_cursor(SORT, Position("0001-01-01", 0))

        assert days_page(service, mia, TaskLogQuery(cursor=cursor)) == {"items": [], "next_cursor": None}


class TestInBerlin:
    """Berlin's 29 March 2026 has 23 hours and its 25 October has 25."""

    @pytest.mark.parametrize("zone", ["Europe/Berlin"])
    @pytest.mark.parametrize(
        ("day", "last_instant"), [("2026-03-29", "2026-03-29T21:59:59.999999"), ("2026-10-25", "2026-10-25T22:59:59.9")]
    )
    def test_the_zone_decides_when_a_day_ends(self, service, services, mia, clock, day, last_instant):
        last = datetime.fromisoformat(last_instant).replace(tzinfo=UTC)
        clock.now = last - timedelta(hours=36)
        task_id = services.tasks.create(mia, {"title": "The day before"}).id
        clock.now = last
        counted_task = services.tasks.create(mia, {"title": "In time"}).id
        clock.now = last.replace(microsecond=0) + timedelta(seconds=1)
        uncounted_task = services.tasks.create(mia, {"title": "Late"}).id
        services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})
        clock.advance(days=1, hours=2)
        services.daily_log.log_due_days()
        on = date.fromisoformat(day)

        listed = days(service, mia, since=on - timedelta(days=1))

        assert [(each["log_date"], each["task_count"]) for each in listed] == [
            (str(on + timedelta(days=1)), 2),
            (day, 2),
            (str(on - timedelta(days=1)), 1),
        ]
        assert changes_of(diff(service, mia, on - timedelta(days=1), on)) == {counted_task: "entered"}
        assert changes_of(diff(service, mia, on, on + timedelta(days=1))) == {
            task_id: "left",
            uncounted_task: "entered",
        }


def days_page(service, actor, query):
    page = service.count_by_day(actor, query)
    items = [with_link(day, query.project) for day in page.items]
    body = orjson.loads(orjson.dumps({"items": items, "next_cursor": page.next_cursor}))
    assert LogDayPage(unknown=RAISE).validate(body) == {}
    return body


def days(service, actor, **filters):
    return days_page(service, actor, TaskLogQuery(**filters))["items"]


def day_pages(service, actor, query):
    items = []
    while True:
        page = days_page(service, actor, query)
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        query = replace(query, cursor=page["next_cursor"])


def total_of(services, actor, link, **more):
    """Count the tasks in the list behind the link, with more filters."""
    parameters = {**dict(parse_qsl(urlsplit(link).query)), **more, "include_total": "true", "limit": "1"}
    page, _was_cached = services.task_logs.list_page(actor, TaskLogListQuery().load(parameters).query)
    return page.total.count


@pytest.fixture
def many_tasks(services, mia):
    def make(count):
        for number in range(count):
            values = {"status": list(TaskStatus)[number % 3], "assignee": ["ann", "mia", None][number % 3]}
            for project in ("GEN", "OPS"):
                services.tasks.create(mia, {"title": f"T{number}", "project": project, **values})

    make(7)
    return make
