from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import orjson
import pytest
from marshmallow import RAISE
from sqlalchemy import delete

from app.errors import InvalidError
from app.http.responses import envelope_of
from app.models.people.user import Role
from app.models.tasks.fields import ACTIVE_STATUSES, TaskStatus
from app.models.tasks.task import Task
from app.schemas.reports import AgingReport, CycleTimeReport, FlowReport
from app.schemas.tasks import TaskListQuery

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2026, 3, day) for day in (9, 10, 11, 12))
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
DAY = timedelta(days=1)
# The first instants of days in Berlin, and how long these are: an ordinary one, one of 23 hours and one of 25.
DAYS_IN_BERLIN = [
    (datetime(2026, 3, 9, 23, tzinfo=UTC), 24),
    (datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
    (datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
]


class TestFlow:
    def test_each_day_has_what_stood_where_at_its_end(self, service, services, mia, clock):
        first, second = (services.tasks.create(mia, {"title": title}).id for title in ("One", "Two"))
        clock.advance(days=1)
        services.tasks.change(mia, first, {"status": TaskStatus.IN_PROGRESS})
        clock.advance(days=1)
        services.tasks.change(mia, first, {"status": TaskStatus.DONE})
        services.tasks.change(mia, second, {"status": TaskStatus.BLOCKED})
        clock.advance(days=1)
        services.tasks.change(mia, second, {"status": TaskStatus.CANCELLED})

        assert counts_of(flow(service, mia)) == {
            MONDAY: {"todo": 2},
            TUESDAY: {"todo": 1, "in_progress": 1},
            WEDNESDAY: {"blocked": 1, "done": 1},
            THURSDAY: {"done": 1, "cancelled": 1},
        }

    def test_every_status_is_named_every_day_oldest_first(self, service, mia):
        items = flow(service, mia, TUESDAY - 3 * DAY, TUESDAY)["items"]

        assert [item["date"] for item in items] == [f"2026-03-{number:02}" for number in (7, 8, 9)]
        for item in items:
            assert [number["status"] for number in item["statuses"]] == list(TaskStatus)

    def test_what_came_and_went_on_one_day_counts_as_it_ended(self, service, services, mia, clock):
        task = services.tasks.create(mia, {"title": "One"})
        for status in (TaskStatus.IN_PROGRESS, TaskStatus.TODO, TaskStatus.DONE):
            clock.advance(hours=1)
            services.tasks.change(mia, task.id, {"status": status})

        assert counts_of(flow(service, mia)) == {MONDAY: {"done": 1}}

    def test_changes_of_something_else_count_nothing_twice(self, service, services, mia, clock):
        task = services.tasks.create(mia, {"title": "One"})
        for number in range(3):
            clock.advance(days=1)
            services.tasks.change(mia, task.id, {"title": f"Title {number}"})

        assert set(map(str, counts_of(flow(service, mia)).values())) == {"{'todo': 1}"}

    def test_what_was_before_the_first_day_is_counted_in(self, service, services, mia, clock):
        task = services.tasks.create(mia, {"title": "One"})
        clock.advance(days=1)
        services.tasks.change(mia, task.id, {"status": TaskStatus.BLOCKED})
        clock.advance(days=2)

        found = counts_of(flow(service, mia, WEDNESDAY, THURSDAY))

        assert found == {WEDNESDAY: {"blocked": 1}, THURSDAY: {"blocked": 1}}

    def test_what_is_deleted_is_not_counted_while_it_is(self, service, services, mia, clock):
        task = services.tasks.create(mia, {"title": "One"})
        for do in (services.tasks.delete, services.tasks.restore):
            clock.advance(days=1)
            do(mia, task.id)

        assert counts_of(flow(service, mia)) == {MONDAY: {"todo": 1}, TUESDAY: {}, WEDNESDAY: {"todo": 1}}

    def test_what_was_removed_for_good_is_counted_until_then(self, service, services, mia, clock, session):
        task = services.tasks.create(mia, {"title": "One"})
        clock.advance(days=1)
        session.execute(delete(Task).where(Task.id == task.id))

        assert counts_of(flow(service, mia)) == {MONDAY: {"todo": 1}, TUESDAY: {}}

    def test_it_begins_when_a_task_came_in_whatever_its_created_at(self, service, services, mia):
        services.tasks.create(mia, {"title": "One", "created_at": NOON - 5 * DAY})

        assert counts_of(flow(service, mia, TUESDAY - 3 * DAY)) == {
            date(2026, 3, 7): {},
            date(2026, 3, 8): {},
            MONDAY: {"todo": 1},
        }

    def test_a_project_has_what_lay_in_it_then(self, service, services, mia, clock):
        task = services.tasks.create(mia, {"title": "One"})
        clock.advance(days=1)
        services.tasks.change(mia, task.id, {"project": "OPS"})

        assert counts_of(flow(service, mia, project="GEN")) == {MONDAY: {"todo": 1}, TUESDAY: {}}
        assert counts_of(flow(service, mia, project="OPS")) == {MONDAY: {}, TUESDAY: {"todo": 1}}
        assert counts_of(flow(service, mia, project="NONE")) == {MONDAY: {}, TUESDAY: {}}
        assert counts_of(flow(service, mia)) == {MONDAY: {"todo": 1}, TUESDAY: {"todo": 1}}

    def test_one_sees_ones_own_projects_only(self, service, services, mia, viewer, boss, clock):
        task = services.tasks.create(mia, {"title": "One"})
        services.tasks.create(mia, {"title": "Secret", "project": "OPS"})
        clock.advance(days=1)
        services.tasks.change(mia, task.id, {"project": "OPS"})

        assert counts_of(flow(service, viewer)) == {MONDAY: {"todo": 1}, TUESDAY: {}}
        assert counts_of(flow(service, viewer, project="OPS")) == {MONDAY: {}, TUESDAY: {}}
        assert counts_of(flow(service, boss)) == {MONDAY: {"todo": 2}, TUESDAY: {"todo": 2}}
        nowhere = replace(viewer, project_ids=frozenset())
        assert counts_of(flow(service, nowhere)) == {MONDAY: {}, TUESDAY: {}}

    @pytest.mark.parametrize(
        ("zone", "project"), [("UTC", None), ("Europe/Berlin", "OPS"), ("Pacific/Kiritimati", None)]
    )
    def test_each_number_is_that_of_the_tasks_it_leads_to(self, service, services, mia, viewer, history, project):
        for actor in (mia, viewer):
            for item in flow(service, actor, history.first, history.last, project=project)["items"]:
                for number in item["statuses"]:
                    assert number["task_count"] == total_of(services, actor, number["tasks"]), (item["date"], number)

    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
    def test_tasks_may_be_listed_from_where_the_numbers_lead(self, service, services, mia, history):
        (item,) = flow(service, mia, history.last, history.last)["items"]

        for number in item["statuses"]:
            found = listed(services, mia, number["tasks"], limit="200")["items"]
            assert len(found) == number["task_count"]
            assert {task["status"] for task in found} <= {number["status"]}


class TestFlowInBerlin:
    @pytest.mark.parametrize("zone", ["Europe/Berlin"])
    @pytest.mark.parametrize(("midnight", "hours"), DAYS_IN_BERLIN)
    def test_a_day_lasts_from_midnight_to_midnight(self, service, services, mia, clock, midnight, hours):
        next_midnight = midnight + timedelta(hours=hours)
        for instant in (midnight - INSTANT, midnight, next_midnight - INSTANT, next_midnight):
            clock.now = instant
            services.tasks.create(mia, {"title": "One"})
        clock.advance(days=2)
        day = midnight.astimezone(ZoneInfo("Europe/Berlin")).date()

        body = flow(service, mia, day - DAY, day + DAY)

        assert counts_of(body) == {day - DAY: {"todo": 1}, day: {"todo": 3}, day + DAY: {"todo": 4}}
        assert_links_lead_to_the_numbers(services, mia, body)

    @pytest.mark.parametrize("zone", ["Europe/Berlin"])
    def test_today_is_the_day_of_the_zone_and_ends_now(self, service, services, mia, clock):
        clock.now = datetime(2026, 3, 9, 23, 30, tzinfo=UTC)
        services.tasks.create(mia, {"title": "One"})

        (item,) = flow(service, mia, TUESDAY)["items"]

        assert item["date"] == "2026-03-10"
        assert item["statuses"][0]["tasks"] == (
            "/api/v1/tasks?as_of=2026-03-09T23%3A30%3A00%2B00%3A00&status=todo"  # half past midnight there
        )
        assert item["statuses"][0]["task_count"] == 1

    @pytest.mark.parametrize("zone", ["Europe/Berlin"])
    @pytest.mark.parametrize(("midnight", "hours"), DAYS_IN_BERLIN)
    def test_a_day_ends_an_instant_before_the_next(self, service, mia, clock, midnight, hours):
        clock.now = midnight + 3 * DAY
        day = midnight.astimezone(ZoneInfo("Europe/Berlin")).date()

        (item,) = flow(service, mia, day, day)["items"]

        as_of = query_of(item["statuses"][0]["tasks"]).as_of
        assert as_of == midnight + timedelta(hours=hours) - INSTANT

    @pytest.mark.parametrize("zone", ["Pacific/Apia"])
    def test_a_day_that_the_zone_left_out_is_as_the_one_before(self, service, services, mia, clock):
        clock.now = datetime(2011, 12, 30, 9, 59, tzinfo=UTC)
        services.tasks.create(mia, {"title": "On the 29th"})
        clock.now = datetime(2011, 12, 30, 10, 0, tzinfo=UTC)
        services.tasks.create(mia, {"title": "On the 31st"})

        body = flow(service, mia, date(2011, 12, 29), date(2011, 12, 31))

        assert [list(counts.values()) for counts in counts_of(body).values()] == [[1], [1], [2]]
        assert_links_lead_to_the_numbers(services, mia, body)


class TestRange:
    def test_thirty_days_up_to_today_are_what_nobody_named(self, service, mia):
        days = service.flow(mia, since=None, until=None, project=None)

        assert [day.date for day in days] == [MONDAY - 29 * DAY + n * DAY for n in range(30)]

    def test_thirty_days_up_to_a_day_are_what_nobody_began(self, service, mia):
        days = service.flow(mia, since=None, until=date(2026, 1, 31), project=None)

        assert (len(days), days[0].date, days[-1].date) == (30, date(2026, 1, 2), date(2026, 1, 31))

    def test_what_is_still_to_come_is_left_out(self, service, mia):
        days = service.flow(mia, since=MONDAY - DAY, until=date(9998, 12, 31), project=None)

        assert [day.date for day in days] == [MONDAY - DAY, MONDAY]

    @pytest.mark.parametrize("report", ["flow", "cycle_time"])
    @pytest.mark.parametrize(
        ("since", "until"),
        [
            (TUESDAY, None),
            (TUESDAY, THURSDAY),
            (MONDAY, MONDAY - DAY),
            (date(9998, 1, 1), date(9998, 1, 2)),
            (MONDAY, date(2, 1, 1)),
        ],
    )
    def test_an_empty_one_is_refused(self, service, mia, report, since, until):
        with pytest.raises(InvalidError, match="from: lies behind `to`, or is still to come"):
            getattr(service, report)(mia, since=since, until=until, project=None)

    @pytest.mark.parametrize("report", ["flow", "cycle_time"])
    def test_more_than_a_year_is_refused(self, service, mia, report):
        with pytest.raises(InvalidError, match="from: 366 days are the most"):
            getattr(service, report)(mia, since=MONDAY - 366 * DAY, until=MONDAY, project=None)

        assert getattr(service, report)(mia, since=MONDAY - 365 * DAY, until=MONDAY, project=None) is not None

    @pytest.mark.parametrize("report", ["flow", "cycle_time"])
    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles"])
    def test_long_before_the_record_there_is_nothing(self, service, services, mia, report):
        services.tasks.create(mia, {"title": "One"})

        items = getattr(service, report)(mia, since=date(2, 1, 1), until=date(2, 1, 9), project=None)

        counts = [number.task_count for item in items for number in getattr(item, "statuses", [item])]
        assert set(counts) <= {0}


class TestCycleTime:
    def test_is_from_started_to_done_by_the_week_of_the_end(self, service, mia, done):
        for hours in (1, 2, 3, 4, 5):
            done(NOON, hours=hours)
        done(NOON + 7 * DAY, hours=9)

        first, second = cycle_time(service, mia, until=date(2026, 3, 20))["items"]

        assert (first["week"], first["task_count"]) == ("2026-03-09", 5)
        assert first["seconds"] == pytest.approx(
            {"p50": 3 * 3600, "p75": 4 * 3600, "p85": 4.4 * 3600, "p95": 4.8 * 3600}
        )
        assert (second["week"], second["task_count"]) == ("2026-03-16", 1)
        assert set(second["seconds"].values()) == {9 * 3600.0}

    def test_weeks_without_one_are_left_out(self, service, mia, done):
        done(NOON, hours=1)
        done(NOON + 21 * DAY, hours=1)

        found = cycle_time(service, mia, until=date(2026, 4, 5))["items"]

        assert [week["week"] for week in found] == ["2026-03-09", "2026-03-30"]

    def test_there_may_be_none(self, service, mia):
        assert cycle_time(service, mia) == {"items": []}

    def test_what_was_never_started_is_neither_counted_nor_listed(self, service, services, mia, done):
        done(NOON, hours=1)
        services.tasks.create(mia, {"title": "Done at once", "status": TaskStatus.DONE})

        (week,) = cycle_time(service, mia)["items"]

        assert week["task_count"] == total_of(services, mia, week["tasks"]) == 1

    def test_what_is_not_done_is_not_counted(self, service, services, mia, done):
        cancelled, reopened, deleted = (done(NOON, hours=1) for _ in range(3))
        services.tasks.change(mia, cancelled, {"status": TaskStatus.CANCELLED})
        services.tasks.change(mia, reopened, {"status": TaskStatus.IN_PROGRESS})
        services.tasks.delete(mia, deleted)

        assert cycle_time(service, mia)["items"] == []

    def test_what_was_reopened_counts_from_its_first_start_to_its_last_end(self, service, services, mia, clock, done):
        task_id = done(NOON, hours=1)
        services.tasks.change(mia, task_id, {"status": TaskStatus.TODO})
        for status in (TaskStatus.IN_PROGRESS, TaskStatus.DONE):
            clock.advance(hours=1)
            services.tasks.change(mia, task_id, {"status": status})

        (week,) = cycle_time(service, mia)["items"]

        assert week["seconds"]["p50"] == 3 * 3600

    def test_days_that_were_not_asked_for_do_not_count(self, service, services, mia, clock, done):
        for number in range(5):
            done(NOON + number * DAY, hours=1 + number)
        clock.now = NOON + 9 * DAY

        (week,) = cycle_time(service, mia, TUESDAY, THURSDAY)["items"]

        assert (week["week"], week["task_count"], week["seconds"]["p50"]) == ("2026-03-09", 3, 3 * 3600)
        assert total_of(services, mia, week["tasks"]) == 3

    @pytest.mark.parametrize("zone", ["Europe/Berlin"])
    @pytest.mark.parametrize(
        ("midnight", "before", "after"),
        [
            (datetime(2026, 3, 8, 23, tzinfo=UTC), "2026-03-02", "2026-03-09"),
            (datetime(2026, 3, 29, 22, tzinfo=UTC), "2026-03-23", "2026-03-30"),
            (datetime(2026, 10, 25, 23, tzinfo=UTC), "2026-10-19", "2026-10-26"),
        ],
    )
    def test_a_week_ends_when_the_zone_says(self, service, services, mia, clock, done, midnight, before, after):
        done(midnight - INSTANT, hours=30)
        done(midnight, hours=40)
        clock.advance(days=1)

        body = cycle_time(service, mia)

        assert [(week["week"], week["task_count"]) for week in body["items"]] == [(before, 1), (after, 1)]
        # Hours that passed, and not what clocks on walls showed.
        assert [week["seconds"]["p95"] for week in body["items"]] == [30 * 3600, 40 * 3600]
        assert [total_of(services, mia, week["tasks"]) for week in body["items"]] == [1, 1]

    def test_one_sees_ones_own_projects_only(self, service, mia, viewer, boss, done):
        done(NOON, hours=1)
        done(NOON, hours=2, project="OPS")

        counts = {
            (actor.username, project): [
                week["task_count"] for week in cycle_time(service, actor, project=project)["items"]
            ]
            for actor in (mia, viewer, boss)
            for project in (None, "OPS", "GEN", "NONE")
        }

        assert counts == {
            **{(actor.username, None): [2] for actor in (mia, boss)},
            **{(actor.username, project): [1] for actor in (mia, boss) for project in ("OPS", "GEN")},
            **{(actor.username, "NONE"): [] for actor in (mia, boss, viewer)},
            (viewer.username, None): [1],
            (viewer.username, "GEN"): [1],
            (viewer.username, "OPS"): [],
        }

    @pytest.mark.parametrize(
        ("zone", "project"), [("UTC", "OPS"), ("Europe/Berlin", None), ("Pacific/Kiritimati", None)]
    )
    def test_each_number_is_that_of_the_tasks_it_leads_to(self, service, services, mia, viewer, history, project):
        seen = 0
        for actor in (mia, viewer):
            for week in cycle_time(service, actor, history.first, history.last, project=project)["items"]:
                assert week["task_count"] == total_of(services, actor, week["tasks"]), week
                seen += week["task_count"]
        assert seen


class TestAging:
    def test_active_tasks_are_counted_by_age_and_status(self, service, services, mia):
        for age, status in ((0, "todo"), (0.99, "blocked"), (1.5, "todo"), (8, "in_progress"), (8.5, "todo")):
            create_aged(services, mia, days=age, status=TaskStatus(status))
        for status in (TaskStatus.DONE, TaskStatus.CANCELLED):
            create_aged(services, mia, days=8, status=status)

        items = aging(service, mia)["items"]

        assert [(item["from_days"], item["to_days"]) for item in items] == [
            *[(0, 1), (1, 3), (3, 7), (7, 14), (14, 30), (30, 90)],
            (90, None),
        ]
        assert [item["task_count"] for item in items] == [2, 1, 0, 2, 0, 0, 0]
        assert items[0]["by_status"] == {"todo": 1, "in_progress": 0, "blocked": 1}
        assert items[3]["by_status"] == {"todo": 1, "in_progress": 1, "blocked": 0}

    @pytest.mark.parametrize(("bucket", "limit"), [*enumerate((1, 3, 7, 14, 30, 90))])
    def test_an_age_counts_from_its_first_instant_on(self, service, services, mia, bucket, limit):
        create_aged(services, mia, at=NOON - limit * DAY + INSTANT)
        before = aging(service, mia)
        create_aged(services, mia, at=NOON - limit * DAY)

        after = aging(service, mia)

        assert [item["task_count"] for item in before["items"]][bucket : bucket + 2] == [1, 0]
        assert [item["task_count"] for item in after["items"]][bucket : bucket + 2] == [1, 1]

    @pytest.mark.parametrize("limit", [1, 3, 7, 14, 30, 90])
    @pytest.mark.parametrize("beside", [-INSTANT, timedelta(0), INSTANT])
    def test_at_its_limits_each_number_is_that_of_the_tasks_it_leads_to(self, service, services, mia, limit, beside):
        create_aged(services, mia, at=NOON - limit * DAY + beside)

        items = aging(service, mia)["items"]

        assert [total_of(services, mia, item["tasks"]) for item in items] == [item["task_count"] for item in items]
        assert sum(item["task_count"] for item in items) == 1

    def test_what_is_said_to_be_of_tomorrow_is_of_today(self, service, services, mia):
        create_aged(services, mia, days=-3)

        items = aging(service, mia)["items"]

        assert [item["task_count"] for item in items] == [1, 0, 0, 0, 0, 0, 0]
        assert total_of(services, mia, items[0]["tasks"]) == 1

    def test_what_is_ancient_is_of_the_last(self, service, services, mia):
        create_aged(services, mia, at=datetime(2, 1, 1, tzinfo=UTC))

        items = aging(service, mia)["items"]

        assert [item["task_count"] for item in items] == [0, 0, 0, 0, 0, 0, 1]
        assert total_of(services, mia, items[-1]["tasks"]) == 1

    def test_tasks_grow_older_by_themselves(self, service, services, mia, clock):
        create_aged(services, mia, days=0)
        found = []
        for _ in range(3):
            found.append([item["task_count"] for item in aging(service, mia)["items"]].index(1))
            clock.advance(days=2)

        assert found == [0, 1, 2]

    def test_deleted_ones_are_not_counted(self, service, services, mia):
        services.tasks.delete(mia, create_aged(services, mia, days=2))

        assert {item["task_count"] for item in aging(service, mia)["items"]} == {0}

    def test_one_sees_ones_own_projects_only(self, service, services, mia, viewer, boss):
        create_aged(services, mia, days=2, project="OPS")
        create_aged(services, mia, days=2)

        def count_of(actor, project=None):
            return aging(service, actor, project=project)["items"][1]["task_count"]

        assert [count_of(actor) for actor in (mia, viewer, boss)] == [2, 1, 2]
        assert [count_of(actor, "OPS") for actor in (mia, viewer, boss)] == [1, 0, 1]
        assert count_of(mia, "NONE") == 0

    @pytest.mark.parametrize("project", [None, "OPS"])
    def test_each_number_is_that_of_the_tasks_it_leads_to(self, service, services, mia, viewer, history, project):
        seen = 0
        for actor in (mia, viewer):
            for item in aging(service, actor, project=project)["items"]:
                assert item["task_count"] == total_of(services, actor, item["tasks"]), item
                for status, count in item["by_status"].items():
                    assert count == total_of(services, actor, item["tasks"], status=status)
                seen += item["task_count"]
        assert seen


def flow(service, actor, since=MONDAY, until=None, *, project=None):
    return shown(FlowReport, service.flow(actor, since=since, until=until, project=project))


def cycle_time(service, actor, since=None, until=None, *, project=None):
    return shown(CycleTimeReport, service.cycle_time(actor, since=since, until=until, project=project))


def aging(service, actor, *, project=None):
    return shown(AgingReport, service.aging(actor, project=project))


def shown(schema, body):
    """As it goes out, held against the contract."""
    written = orjson.loads(orjson.dumps(schema().dump({"items": body})))
    assert schema(unknown=RAISE).validate(written) == {}
    return written


def counts_of(body):
    """Of each day the numbers that are not zero."""
    return {
        date.fromisoformat(item["date"]): {
            number["status"]: number["task_count"] for number in item["statuses"] if number["task_count"]
        }
        for item in body["items"]
    }


def assert_links_lead_to_the_numbers(services, actor, body):
    for item in body["items"]:
        for number in item["statuses"]:
            assert number["task_count"] == total_of(services, actor, number["tasks"]), (item["date"], number)


def query_of(link, **more):
    """What the API makes of a link."""
    url = urlsplit(link)
    assert url.path == "/api/v1/tasks"
    return TaskListQuery().load({**dict(parse_qsl(url.query, strict_parsing=True)), **more})


def listed(services, actor, link, **more):
    page, _was_cached = services.task_views.list_page(actor, query_of(link, include_total="true", **more))
    return orjson.loads(envelope_of(page))


def total_of(services, actor, link, **more):
    return listed(services, actor, link, limit="1", **more)["total"]


def create_aged(services, actor, *, days=0.0, at=None, **said):
    created_at = at if at is not None else NOON - timedelta(days=days)
    return services.tasks.create(actor, {"title": "One", "created_at": created_at, **said}).id


class History:
    """Weeks of work in both projects, by chance but always the same; now and then something is done at midnight."""

    def __init__(self, services, actor, clock, zone):
        chance = Random(20260309)  # noqa: S311 - no secret
        self.first = (clock() - DAY).date()
        ids = []
        for _ in range(150):
            clock.advance(minutes=chance.randrange(1, 400))
            if chance.random() < 0.2:
                local = clock().astimezone(zone)
                midnight = datetime.combine(local.date() + DAY, datetime.min.time(), tzinfo=zone).astimezone(UTC)
                clock.now = midnight - chance.choice([INSTANT, timedelta(0)])
            self._take_a_step(services, actor, chance, ids, clock())
        clock.advance(hours=3)
        self.last = clock().astimezone(zone).date()

    def _take_a_step(self, services, actor, chance, ids, now):
        step = chance.random()
        if step < 0.35 or not ids:
            said = {"project": chance.choice(["GEN", "OPS"]), "status": chance.choice(list(TaskStatus))}
            created_at = now - chance.choice([0, 1, 3, 12, 200]) * DAY
            ids.append(services.tasks.create(actor, {"title": "One", "created_at": created_at, **said}).id)
            return
        task_id = chance.choice(ids)
        if services.task_views.get(actor, task_id).values["deleted_at"] is not None:
            services.tasks.restore(actor, task_id)
        elif step < 0.45:
            services.tasks.delete(actor, task_id)
        elif step < 0.55:
            services.tasks.change(actor, task_id, {"project": chance.choice(["GEN", "OPS"]), "title": f"At {now}"})
        else:
            services.tasks.change(actor, task_id, {"status": chance.choice([*ACTIVE_STATUSES, *TaskStatus])})


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
    return services.reports


@pytest.fixture
def tasks(services, clock):
    return services.tasks


@pytest.fixture
def done(services, mia, clock):
    """A task that was done at an instant, so many hours after it was started."""

    def make(at, *, hours, project="GEN"):
        clock.now = at - timedelta(hours=hours)
        task_id = services.tasks.create(mia, {"title": "One", "status": TaskStatus.IN_PROGRESS, "project": project}).id
        clock.now = at
        services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})
        return task_id

    return make


@pytest.fixture
def history(services, mia, clock, zone):
    return History(services, mia, clock, ZoneInfo(zone))


@pytest.fixture
def ops(factories):
    return factories.Project(key="OPS")


@pytest.fixture
def mia(factories, acting_as, ops):
    """Of OPS as well as of what everybody is in."""
    user = factories.User(username="mia", role=Role.MANAGER)
    factories.ProjectMember(project_id=ops.id, user_id=user.id)
    return acting_as(user)


@pytest.fixture
def viewer(factories, acting_as):
    """Not in OPS."""
    return acting_as(factories.User(role=Role.VIEWER))


@pytest.fixture
def boss(admin, acting_as):
    return acting_as(admin)
