from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete

from app.errors import InvalidError
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from tests.services.reports.numbers import (
    DAY,
    INSTANT,
    MONDAY,
    NOON,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    flow,
    query_of,
    total_of,
)

# The first instants and lengths of three days in Berlin: an ordinary day, one of 23 hours and one of 25.
DAYS_IN_BERLIN = [
    (datetime(2026, 3, 9, 23, tzinfo=UTC), 24),
    (datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
    (datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
]


class TestFlow:
    def test_each_day_counts_the_statuses_at_its_end(self, service, services, mia, clock):
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

    def test_every_day_has_every_status_and_the_oldest_comes_first(self, service, mia):
        items = flow(service, mia, TUESDAY - 3 * DAY, TUESDAY)["items"]

        assert [item["date"] for item in items] == [f"2026-03-{number:02}" for number in (7, 8, 9)]
        for item in items:
            assert [number["status"] for number in item["statuses"]] == list(TaskStatus)

    def test_a_task_that_changed_within_a_day_counts_with_its_last_status(self, service, services, mia, clock):
        task = services.tasks.create(mia, {"title": "One"})
        for status in (TaskStatus.IN_PROGRESS, TaskStatus.TODO, TaskStatus.DONE):
            clock.advance(hours=1)
            services.tasks.change(mia, task.id, {"status": status})

        assert counts_of(flow(service, mia)) == {MONDAY: {"done": 1}}

    def test_changes_of_other_fields_count_nothing_twice(self, service, services, mia, clock):
        task = services.tasks.create(mia, {"title": "One"})
        for number in range(3):
            clock.advance(days=1)
            services.tasks.change(mia, task.id, {"title": f"Title {number}"})

        assert set(map(str, counts_of(flow(service, mia)).values())) == {"{'todo': 1}"}

    def test_tasks_from_before_the_first_day_are_counted(self, service, services, mia, clock):
        task = services.tasks.create(mia, {"title": "One"})
        clock.advance(days=1)
        services.tasks.change(mia, task.id, {"status": TaskStatus.BLOCKED})
        clock.advance(days=2)

        counts = counts_of(flow(service, mia, WEDNESDAY, THURSDAY))

        assert counts == {WEDNESDAY: {"blocked": 1}, THURSDAY: {"blocked": 1}}

    def test_a_task_is_not_counted_while_it_is_deleted(self, service, services, mia, clock):
        task = services.tasks.create(mia, {"title": "One"})
        for do in (services.tasks.delete, services.tasks.restore):
            clock.advance(days=1)
            do(mia, task.id)

        assert counts_of(flow(service, mia)) == {MONDAY: {"todo": 1}, TUESDAY: {}, WEDNESDAY: {"todo": 1}}

    def test_a_purged_task_is_counted_until_then(self, service, services, mia, clock, session):
        task = services.tasks.create(mia, {"title": "One"})
        clock.advance(days=1)
        session.execute(delete(Task).where(Task.id == task.id))

        assert counts_of(flow(service, mia)) == {MONDAY: {"todo": 1}, TUESDAY: {}}

    def test_a_task_counts_from_when_it_was_stored_whatever_its_created_at(self, service, services, mia):
        services.tasks.create(mia, {"title": "One", "created_at": NOON - 5 * DAY})

        assert counts_of(flow(service, mia, TUESDAY - 3 * DAY)) == {
            date(2026, 3, 7): {},
            date(2026, 3, 8): {},
            MONDAY: {"todo": 1},
        }

    def test_a_project_has_the_tasks_that_it_had_then(self, service, services, mia, clock):
        task = services.tasks.create(mia, {"title": "One"})
        clock.advance(days=1)
        services.tasks.change(mia, task.id, {"project": "OPS"})

        assert counts_of(flow(service, mia, project="GEN")) == {MONDAY: {"todo": 1}, TUESDAY: {}}
        assert counts_of(flow(service, mia, project="OPS")) == {MONDAY: {}, TUESDAY: {"todo": 1}}
        assert counts_of(flow(service, mia, project="NONE")) == {MONDAY: {}, TUESDAY: {}}
        assert counts_of(flow(service, mia)) == {MONDAY: {"todo": 1}, TUESDAY: {"todo": 1}}

    def test_a_user_sees_only_their_own_projects(self, service, services, mia, viewer, boss, clock):
        task = services.tasks.create(mia, {"title": "One"})
        services.tasks.create(mia, {"title": "Secret", "project": "OPS"})
        clock.advance(days=1)
        services.tasks.change(mia, task.id, {"project": "OPS"})

        assert counts_of(flow(service, viewer)) == {MONDAY: {"todo": 1}, TUESDAY: {}}
        assert counts_of(flow(service, viewer, project="OPS")) == {MONDAY: {}, TUESDAY: {}}
        assert counts_of(flow(service, boss)) == {MONDAY: {"todo": 2}, TUESDAY: {"todo": 2}}
        nowhere = replace(viewer, project_ids=frozenset())
        assert counts_of(flow(service, nowhere)) == {MONDAY: {}, TUESDAY: {}}


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
        ensure_links_lead_to_the_numbers(services, mia, body)

    @pytest.mark.parametrize("zone", ["Europe/Berlin"])
    def test_today_is_the_day_in_the_zone_and_ends_now(self, service, services, mia, clock):
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
    def test_a_day_that_the_zone_skipped_equals_the_one_before(self, service, services, mia, clock):
        clock.now = datetime(2011, 12, 30, 9, 59, tzinfo=UTC)
        services.tasks.create(mia, {"title": "On the 29th"})
        clock.now = datetime(2011, 12, 30, 10, 0, tzinfo=UTC)
        services.tasks.create(mia, {"title": "On the 31st"})

        body = flow(service, mia, date(2011, 12, 29), date(2011, 12, 31))

        assert [list(counts.values()) for counts in counts_of(body).values()] == [[1], [1], [2]]
        ensure_links_lead_to_the_numbers(services, mia, body)


class TestRange:
    def test_the_default_is_the_thirty_days_up_to_today(self, service, mia):
        days = service.flow(mia, since=None, until=None, project=None)

        assert [day.date for day in days] == [MONDAY - 29 * DAY + n * DAY for n in range(30)]

    def test_the_default_start_is_thirty_days_before_the_end(self, service, mia):
        days = service.flow(mia, since=None, until=date(2026, 1, 31), project=None)

        assert (len(days), days[0].date, days[-1].date) == (30, date(2026, 1, 2), date(2026, 1, 31))

    def test_future_days_are_left_out(self, service, mia):
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
    def test_an_empty_range_is_refused(self, service, mia, report, since, until):
        with pytest.raises(InvalidError, match="from: is after `to`, or in the future"):
            getattr(service, report)(mia, since=since, until=until, project=None)

    @pytest.mark.parametrize("report", ["flow", "cycle_time"])
    def test_more_than_a_year_is_refused(self, service, mia, report):
        with pytest.raises(InvalidError, match="from: the range is longer than 366 days"):
            getattr(service, report)(mia, since=MONDAY - 366 * DAY, until=MONDAY, project=None)

        assert getattr(service, report)(mia, since=MONDAY - 365 * DAY, until=MONDAY, project=None) is not None

    @pytest.mark.parametrize("report", ["flow", "cycle_time"])
    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles"])
    def test_days_long_before_the_first_task_have_no_tasks(self, service, services, mia, report):
        services.tasks.create(mia, {"title": "One"})

        items = getattr(service, report)(mia, since=date(2, 1, 1), until=date(2, 1, 9), project=None)

        counts = [number.task_count for item in items for number in getattr(item, "statuses", [item])]
        assert set(counts) <= {0}


def counts_of(body):
    """Map each day to its numbers that are not zero."""
    return {
        date.fromisoformat(item["date"]): {
            number["status"]: number["task_count"] for number in item["statuses"] if number["task_count"]
        }
        for item in body["items"]
    }


def ensure_links_lead_to_the_numbers(services, actor, body):
    for item in body["items"]:
        for number in item["statuses"]:
            assert number["task_count"] == total_of(services, actor, number["tasks"]), (item["date"], number)
