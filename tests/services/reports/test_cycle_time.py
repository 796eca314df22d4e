from datetime import UTC, date, datetime, timedelta

import pytest

from app.models.tasks.fields import TaskStatus
from tests.services.reports.numbers import DAY, INSTANT, NOON, THURSDAY, TUESDAY, cycle_time, total_of


class TestCycleTime:
    def test_runs_from_start_to_completion_and_counts_in_the_week_of_the_end(self, service, mia, done):
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

    def test_weeks_without_a_finished_task_are_left_out(self, service, mia, done):
        done(NOON, hours=1)
        done(NOON + 21 * DAY, hours=1)

        weeks = cycle_time(service, mia, until=date(2026, 4, 5))["items"]

        assert [week["week"] for week in weeks] == ["2026-03-09", "2026-03-30"]

    def test_there_may_be_no_weeks(self, service, mia):
        assert cycle_time(service, mia) == {"items": []}

    def test_a_task_that_was_never_started_is_not_counted_or_listed(self, service, services, mia, done):
        done(NOON, hours=1)
        services.tasks.create(mia, {"title": "Done at once", "status": TaskStatus.DONE})

        (week,) = cycle_time(service, mia)["items"]

        assert week["task_count"] == total_of(services, mia, week["tasks"]) == 1

    def test_an_unfinished_task_is_not_counted(self, service, services, mia, done):
        cancelled, reopened, deleted = (done(NOON, hours=1) for _ in range(3))
        services.tasks.change(mia, cancelled, {"status": TaskStatus.CANCELLED})
        services.tasks.change(mia, reopened, {"status": TaskStatus.IN_PROGRESS})
        services.tasks.delete(mia, deleted)

        assert cycle_time(service, mia)["items"] == []

    def test_a_reopened_task_counts_from_its_first_start_to_its_last_end(self, service, services, mia, clock, done):
        task_id = done(NOON, hours=1)
        services.tasks.change(mia, task_id, {"status": TaskStatus.TODO})
        for status in (TaskStatus.IN_PROGRESS, TaskStatus.DONE):
            clock.advance(hours=1)
            services.tasks.change(mia, task_id, {"status": status})

        (week,) = cycle_time(service, mia)["items"]

        assert week["seconds"]["p50"] == 3 * 3600

    def test_days_outside_the_range_do_not_count(self, service, services, mia, clock, done):
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
    def test_the_zone_decides_when_a_week_ends(self, service, services, mia, clock, done, midnight, before, after):
        done(midnight - INSTANT, hours=30)
        done(midnight, hours=40)
        clock.advance(days=1)

        body = cycle_time(service, mia)

        assert [(week["week"], week["task_count"]) for week in body["items"]] == [(before, 1), (after, 1)]
        # The hours that really passed, not the difference between local times.
        assert [week["seconds"]["p95"] for week in body["items"]] == [30 * 3600, 40 * 3600]
        assert [total_of(services, mia, week["tasks"]) for week in body["items"]] == [1, 1]

    def test_a_user_sees_only_their_own_projects(self, service, mia, viewer, boss, done):
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


@pytest.fixture
def done(services, mia, clock):
    """Finish a task at an instant, some hours after it was started."""

    def make(at, *, hours, project="GEN"):
        clock.now = at - timedelta(hours=hours)
        task_id = services.tasks.create(mia, {"title": "One", "status": TaskStatus.IN_PROGRESS, "project": project}).id
        clock.now = at
        services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})
        return task_id

    return make
