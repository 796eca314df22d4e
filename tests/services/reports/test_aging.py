from datetime import UTC, datetime, timedelta

import pytest

from app.models.tasks.fields import TaskStatus
from tests.services.reports.numbers import DAY, INSTANT, NOON, aging, total_of


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
    def test_an_age_begins_at_its_first_instant(self, service, services, mia, bucket, limit):
        create_aged(services, mia, at=NOON - limit * DAY + INSTANT)
        before = aging(service, mia)
        create_aged(services, mia, at=NOON - limit * DAY)

        after = aging(service, mia)

        assert [item["task_count"] for item in before["items"]][bucket : bucket + 2] == [1, 0]
        assert [item["task_count"] for item in after["items"]][bucket : bucket + 2] == [1, 1]

    @pytest.mark.parametrize("limit", [1, 3, 7, 14, 30, 90])
    @pytest.mark.parametrize("beside", [-INSTANT, timedelta(0), INSTANT])
    def test_each_number_equals_the_tasks_that_it_links_to_at_the_limits_of_an_age(
        self, service, services, mia, limit, beside
    ):
        create_aged(services, mia, at=NOON - limit * DAY + beside)

        items = aging(service, mia)["items"]

        assert [total_of(services, mia, item["tasks"]) for item in items] == [item["task_count"] for item in items]
        assert sum(item["task_count"] for item in items) == 1

    def test_a_task_created_in_the_future_counts_as_new(self, service, services, mia):
        create_aged(services, mia, days=-3)

        items = aging(service, mia)["items"]

        assert [item["task_count"] for item in items] == [1, 0, 0, 0, 0, 0, 0]
        assert total_of(services, mia, items[0]["tasks"]) == 1

    def test_an_ancient_task_counts_in_the_last_bucket(self, service, services, mia):
        create_aged(services, mia, at=datetime(2, 1, 1, tzinfo=UTC))

        items = aging(service, mia)["items"]

        assert [item["task_count"] for item in items] == [0, 0, 0, 0, 0, 0, 1]
        assert total_of(services, mia, items[-1]["tasks"]) == 1

    def test_tasks_move_to_older_buckets_with_time(self, service, services, mia, clock):
        create_aged(services, mia, days=0)
        buckets = []
        for _ in range(3):
            buckets.append([item["task_count"] for item in aging(service, mia)["items"]].index(1))
            clock.advance(days=2)

        assert buckets == [0, 1, 2]

    def test_deleted_tasks_are_not_counted(self, service, services, mia):
        services.tasks.delete(mia, create_aged(services, mia, days=2))

        assert {item["task_count"] for item in aging(service, mia)["items"]} == {0}

    def test_a_user_sees_only_their_own_projects(self, service, services, mia, viewer, boss):
        create_aged(services, mia, days=2, project="OPS")
        create_aged(services, mia, days=2)

        def count_of(actor, project=None):
            return aging(service, actor, project=project)["items"][1]["task_count"]

        assert [count_of(actor) for actor in (mia, viewer, boss)] == [2, 1, 2]
        assert [count_of(actor, "OPS") for actor in (mia, viewer, boss)] == [1, 0, 1]
        assert count_of(mia, "NONE") == 0


def create_aged(services, actor, *, days=0.0, at=None, **values):
    created_at = at if at is not None else NOON - timedelta(days=days)
    return services.tasks.create(actor, {"title": "One", "created_at": created_at, **values}).id
