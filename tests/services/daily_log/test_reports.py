from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import orjson
import pytest
from marshmallow import RAISE
from sqlalchemy import delete

from app.errors import InvalidError
from app.http.responses import envelope_of
from app.models.daily_log.task_log import TaskLog
from app.models.people.user import Role
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.queries.daily_log import TaskLogQuery
from app.queries.pages import Position, encode_cursor
from app.routes.daily_log import with_link
from app.schemas.daily_log import LogDayPage, LogDifferencePage, TaskLogListQuery
from app.services.daily_log.reports import SORT

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 3, day) for day in (9, 10, 11))
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
NONE_OF_EACH = {"entered": 0, "left": 0, "changed": 0}


class TestDiff:
    def test_what_is_new_has_entered(self, service, services, log_day, mia):
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
            "due_at": "2026-03-09T12:00:00+00:00",
        }
        assert body["items"] == [{"task_id": new.id, "change": "entered", "before": None, "after": state}]
        assert body["counts"] == {**NONE_OF_EACH, "entered": 1}

    @pytest.mark.parametrize("status", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_what_has_ended_has_left(self, service, services, log_day, mia, task_id, status):
        log_day()
        services.tasks.change(mia, task_id, {"status": status})
        log_day()

        body = diff(service, mia)

        assert [(item["change"], item["after"]) for item in body["items"]] == [("left", None)]
        assert body["items"][0]["before"]["status"] == "todo"
        assert body["counts"] == {**NONE_OF_EACH, "left": 1}

    def test_what_was_deleted_has_left_and_what_was_restored_has_entered(
        self, service, services, log_day, mia, task_id
    ):
        log_day()
        services.tasks.delete(mia, task_id)
        log_day()
        services.tasks.restore(mia, task_id)
        log_day()

        assert changes_of(diff(service, mia, MONDAY, TUESDAY)) == {task_id: "left"}
        assert changes_of(diff(service, mia, TUESDAY, WEDNESDAY)) == {task_id: "entered"}
        assert changes_of(diff(service, mia, MONDAY, WEDNESDAY)) == {}

    @pytest.mark.parametrize(
        ("said", "before", "after"),
        [
            ({"title": "Two"}, {"title": "One"}, {"title": "Two"}),
            ({"status": TaskStatus.BLOCKED}, {"status": "todo"}, {"status": "blocked"}),
            ({"priority": TaskPriority.CRITICAL}, {"priority": "medium"}, {"priority": "critical"}),
            ({"assignee": "ann"}, {"assignee": "mia"}, {"assignee": "ann"}),
            ({"assignee": None}, {"assignee": "mia"}, {"assignee": None}),
            ({"due_at": None}, {"due_at": "2026-03-09T12:00:00+00:00"}, {"due_at": None}),
            ({"project": "OPS"}, {"project": "GEN"}, {"project": "OPS", "ref": "OPS-1"}),
        ],
    )
    def test_what_is_otherwise_has_changed(self, service, services, log_day, mia, task_id, said, before, after):
        log_day()
        services.tasks.change(mia, task_id, said)
        log_day()

        body = diff(service, mia)

        (item,) = body["items"]
        assert (item["task_id"], item["change"]) == (task_id, "changed")
        assert {name: item["before"][name] for name in before} == before
        assert {name: item["after"][name] for name in after} == after
        assert body["counts"] == {**NONE_OF_EACH, "changed": 1}

    @pytest.mark.parametrize(
        "said", [{"description": "long"}, {"labels": ["red"]}, {"position": 7.0}, {"external_ref": "A"}]
    )
    def test_what_the_log_does_not_keep_is_no_change(self, service, services, log_day, mia, task_id, said):
        log_day()
        services.tasks.change(mia, task_id, said)
        log_day()

        assert diff(service, mia) == {"items": [], "next_cursor": None, "counts": NONE_OF_EACH}

    def test_what_changed_and_changed_back_is_no_change(self, service, services, log_day, mia, task_id):
        log_day()
        for title in ("Two", "One"):
            services.tasks.change(mia, task_id, {"title": title})
        log_day()

        assert diff(service, mia)["items"] == []

    def test_what_came_and_went_on_one_day_was_never_there(self, service, services, log_day, mia):
        log_day()
        task = services.tasks.create(mia, {"title": "Short"})
        services.tasks.change(mia, task.id, {"status": TaskStatus.DONE})
        log_day()

        assert diff(service, mia)["items"] == []

    def test_the_same_day_twice_is_empty(self, service, log_day, mia, task_id):
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

    def test_backwards_is_refused(self, service, log_day, mia, task_id):
        log_day()
        log_day()

        with pytest.raises(InvalidError, match="from: lies behind `to`"):
            diff(service, mia, TUESDAY, MONDAY)

    def test_a_day_whose_rows_are_gone_is_refused(self, service, log_day, mia, session, task_id):
        log_day()
        log_day()
        session.execute(delete(TaskLog).where(TaskLog.log_date == MONDAY))

        with pytest.raises(InvalidError, match="from: the log of 2026-03-09 is older than what is kept"):
            diff(service, mia)

    def test_a_day_that_had_no_row_is_taken_as_empty(self, service, services, log_day, mia):
        log_day()
        new = services.tasks.create(mia, {"title": "New"})
        log_day()

        assert changes_of(diff(service, mia)) == {new.id: "entered"}

    def test_it_outlives_the_tasks(self, service, services, log_day, mia, session, task_id):
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

    def test_today_is_taken_as_far_as_it_is_logged(self, service, services, log_day, mia, task_id):
        log_day()
        services.tasks.change(mia, task_id, {"title": "Two"})
        services.daily_log.request_day(mia, None)
        services.daily_log.log_due_days()

        assert changes_of(diff(service, mia, MONDAY, TUESDAY)) == {task_id: "changed"}


class TestDiffOfProjects:
    def test_only_ones_own_are_told_of(self, service, services, log_day, mia, viewer):
        task = services.tasks.create(mia, {"title": "Leaves", "project": "OPS"})
        log_day()
        services.tasks.change(mia, task.id, {"status": TaskStatus.DONE})
        services.tasks.create(mia, {"title": "Enters", "project": "OPS"})
        log_day()

        assert diff(service, viewer) == {"items": [], "next_cursor": None, "counts": NONE_OF_EACH}
        assert diff(service, mia)["counts"] == {"entered": 1, "left": 1, "changed": 0}

    def test_over_the_border_a_task_enters_or_leaves(self, service, services, log_day, mia, viewer):
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

    def test_one_may_be_asked_for(self, service, services, log_day, mia):
        log_day()
        in_ops = services.tasks.create(mia, {"title": "One", "project": "OPS"})
        in_gen = services.tasks.create(mia, {"title": "Two"})
        log_day()

        assert changes_of(diff(service, mia, project="OPS")) == {in_ops.id: "entered"}
        assert changes_of(diff(service, mia, project="GEN")) == {in_gen.id: "entered"}
        assert diff(service, mia, project="NONE")["counts"] == NONE_OF_EACH

    def test_one_that_one_is_not_in_may_be_asked_for_in_vain(self, service, services, log_day, mia, viewer):
        log_day()
        services.tasks.create(mia, {"title": "One", "project": "OPS"})
        log_day()

        assert diff(service, viewer, project="OPS") == {"items": [], "next_cursor": None, "counts": NONE_OF_EACH}

    def test_an_admin_is_told_of_all(self, service, services, log_day, mia, boss):
        log_day()
        services.tasks.create(mia, {"title": "One", "project": "OPS"})
        log_day()

        assert diff(service, boss)["counts"] == {**NONE_OF_EACH, "entered": 1}


class TestDiffPages:
    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 200])
    def test_join_to_the_whole_with_the_counts_on_the_first(self, service, mia, seven_differences, limit):
        whole = diff(service, mia)

        pages = diff_pages(service, mia, limit=limit)

        assert [item for page in pages for item in page["items"]] == whole["items"]
        assert [item["task_id"] for item in whole["items"]] == seven_differences
        assert pages[0]["counts"] == whole["counts"] == {"entered": 3, "left": 2, "changed": 2}
        assert not any("counts" in page for page in pages[1:])

    def test_of_another_list_are_not_continued(self, service, mia, seven_differences):
        with pytest.raises(InvalidError, match="another sort order"):
            diff(service, mia, cursor=encode_cursor(SORT, Position("2026-03-09", 0)))

    def test_that_were_tampered_with_are_refused(self, service, mia, seven_differences):
        with pytest.raises(InvalidError, match="not a cursor"):
            diff(service, mia, cursor=encode_cursor("task_id", Position("one", 1)))


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

    def test_count_each_day_as_it_was_newest_first(self, service, services, log_day, mia, boss, task_id):
        log_day()
        services.tasks.change(mia, task_id, {"status": TaskStatus.IN_PROGRESS, "project": "OPS", "assignee": None})
        log_day()
        services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})
        log_day()

        found = days(service, boss)

        assert [day["log_date"] for day in found] == ["2026-03-11", "2026-03-10", "2026-03-09"]
        assert [day["task_count"] for day in found] == [0, 1, 1]
        assert [day["by_status"] for day in found] == [{}, {"in_progress": 1}, {"todo": 1}]
        assert [day["by_project"] for day in found] == [{}, {"OPS": 1}, {"GEN": 1}]
        assert [day["by_assignee"] for day in found] == [{}, {"none": 1}, {"mia": 1}]

    def test_of_one_project_count_what_lay_in_it(self, service, services, log_day, mia, task_id):
        services.tasks.create(mia, {"title": "In OPS", "project": "OPS", "assignee": "ann"})
        log_day()

        (of_ops,) = days(service, mia, project="OPS")

        assert (of_ops["task_count"], of_ops["by_project"], of_ops["by_assignee"]) == (1, {"OPS": 1}, {"ann": 1})
        assert of_ops["tasks"] == "/api/v1/task-logs?date=2026-03-09&project=OPS"
        assert days(service, mia, project="NONE") == []

    @pytest.mark.parametrize("project", [None, "OPS", "GEN"])
    def test_every_number_is_that_of_the_rows_it_leads_to(self, service, services, log_day, mia, many_tasks, project):
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

    def test_of_a_viewer_are_those_of_ones_own_projects(self, service, services, log_day, mia, viewer, task_id):
        services.tasks.create(
            mia, {"title": "Secret", "project": "OPS", "assignee": "ann", "status": TaskStatus.BLOCKED}
        )
        log_day()

        (day,) = days(service, viewer)

        assert (day["task_count"], day["by_status"], day["by_project"]) == (1, {"todo": 1}, {"GEN": 1})
        assert day["by_assignee"] == {"mia": 1}
        assert total_of(services, viewer, day["tasks"]) == 1

    def test_without_a_task_that_one_sees_are_left_out(self, service, services, log_day, mia, viewer):
        services.tasks.create(mia, {"title": "Secret", "project": "OPS"})
        log_day()

        assert days(service, viewer) == days(service, viewer, project="OPS") == []
        assert days(service, replace(mia, project_ids=frozenset())) == []

    def test_without_a_task_are_shown_to_admins(self, service, log_day, boss):
        log_day()

        (day,) = days(service, boss)

        assert (day["task_count"], day["by_status"], day["by_project"], day["by_assignee"]) == (0, {}, {}, {})

    def test_that_were_not_logged_are_not_there(self, service, mia, task_id):
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
    def test_may_be_asked_for_by_range(self, service, log_day, mia, task_id, since, until, expected):
        for _ in range(3):
            log_day()

        found = days(service, mia, since=since, until=until)

        assert [day["log_date"] for day in found] == [f"2026-03-{number:02}" for number in expected]


class TestDayPages:
    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("until", [None, TUESDAY, date(2030, 1, 1)])
    def test_join_to_the_whole(self, service, log_day, mia, task_id, limit, until):
        for _ in range(4):
            log_day()
        query = TaskLogQuery(since=MONDAY, until=until)
        whole = days_page(service, mia, query)["items"]

        found = day_pages(service, mia, replace(query, limit=limit))

        assert found == whole
        assert len(found) == (2 if until == TUESDAY else 4)

    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_join_even_if_nothing_of_a_page_is_ones_own(self, service, services, log_day, mia, viewer, limit):
        task = services.tasks.create(mia, {"title": "One"})
        for project in ("OPS", "OPS", "GEN"):
            log_day()
            services.tasks.change(mia, task.id, {"project": project})
        log_day()

        found = day_pages(service, viewer, TaskLogQuery(limit=limit))

        assert [day["log_date"] for day in found] == ["2026-03-12", "2026-03-09"]

    def test_of_another_list_are_not_continued(self, service, mia):
        with pytest.raises(InvalidError, match="another sort order"):
            days_page(service, mia, TaskLogQuery(cursor=encode_cursor("task_id", Position("1", 1))))

    @pytest.mark.parametrize("key", ["", "yesterday", "2026-02-30"])
    def test_that_were_tampered_with_are_refused(self, service, mia, key):
        with pytest.raises(InvalidError, match="not a cursor"):
            days_page(service, mia, TaskLogQuery(cursor=encode_cursor(SORT, Position(key, 0))))

    def test_before_the_first_day_of_all_there_is_nothing(self, service, log_day, mia, task_id):
        log_day()
        cursor = encode_cursor(SORT, Position("0001-01-01", 0))

        assert days_page(service, mia, TaskLogQuery(cursor=cursor)) == {"items": [], "next_cursor": None}


class TestInBerlin:
    """Where the 29th of March 2026 has 23 hours, and the 25th of October has 25."""

    @pytest.mark.parametrize("zone", ["Europe/Berlin"])
    @pytest.mark.parametrize(
        ("day", "last_instant"), [("2026-03-29", "2026-03-29T21:59:59.999999"), ("2026-10-25", "2026-10-25T22:59:59.9")]
    )
    def test_a_day_ends_when_the_zone_says(self, service, services, mia, clock, day, last_instant):
        last = datetime.fromisoformat(last_instant).replace(tzinfo=UTC)
        clock.now = last - timedelta(hours=36)
        task_id = services.tasks.create(mia, {"title": "The day before"}).id
        clock.now = last
        in_time = services.tasks.create(mia, {"title": "In time"}).id
        clock.now = last.replace(microsecond=0) + timedelta(seconds=1)
        late = services.tasks.create(mia, {"title": "Late"}).id
        services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})
        clock.advance(days=1, hours=2)
        services.daily_log.log_due_days()
        on = date.fromisoformat(day)

        found = days(service, mia, since=on - timedelta(days=1))

        assert [(each["log_date"], each["task_count"]) for each in found] == [
            (str(on + timedelta(days=1)), 2),
            (day, 2),
            (str(on - timedelta(days=1)), 1),
        ]
        assert changes_of(diff(service, mia, on - timedelta(days=1), on)) == {in_time: "entered"}
        assert changes_of(diff(service, mia, on, on + timedelta(days=1))) == {task_id: "left", late: "entered"}


def diff(service, actor, since=MONDAY, until=TUESDAY, *, project=None, cursor=None, limit=200):
    """As it goes out, held against the contract."""
    page = service.diff(actor, since=since, until=until, project=project, cursor=cursor, limit=limit)
    counts = {} if page.counts is None else {"counts": page.counts}
    body = orjson.loads(envelope_of(page, **counts))
    assert LogDifferencePage(unknown=RAISE).validate(body) == {}
    assert page.next_cursor == body["next_cursor"]
    if cursor is None and body["next_cursor"] is None:
        counted = Counter(item["change"] for item in body["items"])
        assert body["counts"] == {**NONE_OF_EACH, **counted}
    return body


def diff_pages(service, actor, *, limit):
    pages, cursor = [], None
    while True:
        page = diff(service, actor, cursor=cursor, limit=limit)
        pages.append(page)
        cursor = page["next_cursor"]
        if cursor is None:
            return pages


def changes_of(body):
    return {item["task_id"]: item["change"] for item in body["items"]}


def days_page(service, actor, query):
    page = service.count_by_day(actor, query)
    items = [with_link(day, query.project) for day in page.items]
    body = orjson.loads(orjson.dumps({"items": items, "next_cursor": page.next_cursor}))
    assert LogDayPage(unknown=RAISE).validate(body) == {}
    return body


def days(service, actor, **asked):
    return days_page(service, actor, TaskLogQuery(**asked))["items"]


def day_pages(service, actor, query):
    items = []
    while True:
        page = days_page(service, actor, query)
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        query = replace(query, cursor=page["next_cursor"])


def total_of(services, actor, link, **more):
    """What the list says that the link leads to, with more filters."""
    parameters = {**dict(parse_qsl(urlsplit(link).query)), **more, "include_total": "true", "limit": "1"}
    page, _was_cached = services.task_logs.list_page(actor, TaskLogListQuery().load(parameters))
    return page.total.count


@pytest.fixture
def zone():
    """Of the workspace; a test may name another."""
    return "UTC"


@pytest.fixture
def settings(base_settings, zone):
    return replace(base_settings, time_zone=ZoneInfo(zone))


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def service(services, clock):
    return services.daily_log_reports


@pytest.fixture
def tasks(services, clock):
    return services.tasks


@pytest.fixture
def log_day(services, clock, factories):
    """Let the day end and be logged; it is noon of the next one then. The record has begun, by a task long done."""
    factories.Task(status=TaskStatus.DONE, completed_at=NOON)

    def log():
        clock.advance(days=1)
        services.daily_log.log_due_days()

    return log


@pytest.fixture
def ann(member):
    return member("ann", Role.USER)


@pytest.fixture
def mia(member, ann):
    return member("mia", Role.MANAGER)


@pytest.fixture
def boss(admin, acting_as):
    return acting_as(admin)


@pytest.fixture
def viewer(factories, acting_as):
    """Not in OPS."""
    return acting_as(factories.User(role=Role.VIEWER))


@pytest.fixture
def ops(factories):
    return factories.Project(key="OPS")


@pytest.fixture
def member(factories, acting_as, ops):
    """Of OPS as well as of what everybody is in."""

    def make(username, role):
        user = factories.User(username=username, role=role)
        factories.ProjectMember(project_id=ops.id, user_id=user.id)
        return acting_as(user)

    return make


@pytest.fixture
def task_id(services, mia):
    return services.tasks.create(mia, {"title": "One", "assignee": "mia", "due_at": NOON}).id


@pytest.fixture
def many_tasks(services, mia):
    def make(count):
        for number in range(count):
            said = {"status": list(TaskStatus)[number % 3], "assignee": ["ann", "mia", None][number % 3]}
            for project in ("GEN", "OPS"):
                services.tasks.create(mia, {"title": f"T{number}", "project": project, **said})

    make(7)
    return make


@pytest.fixture
def seven_differences(services, log_day, mia):
    """Among tasks that stay as they are: their ids."""
    there = [services.tasks.create(mia, {"title": f"T{number}", "project": "OPS"}).id for number in range(8)]
    log_day()
    for task_id in there[0:4:2]:
        services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})
    for task_id in there[1:4:2]:
        services.tasks.change(mia, task_id, {"title": "Changed"})
    new = [services.tasks.create(mia, {"title": f"N{number}"}).id for number in range(3)]
    log_day()
    return [*there[:4], *new]
