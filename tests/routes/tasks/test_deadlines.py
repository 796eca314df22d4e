"""A deadline without a time means the end of that day in the workspace's time zone."""

from datetime import UTC, datetime

import pytest

from app.models.people.user import Role

# The clock is put forward in the night to the 29th, and back on 25 October.
DAYS = [
    ("2026-03-28", datetime(2026, 3, 28, 22, 59, 59, tzinfo=UTC)),
    ("2026-03-29", datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC)),
    ("2026-10-24", datetime(2026, 10, 24, 21, 59, 59, tzinfo=UTC)),
    ("2026-10-25", datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC)),
]


class TestDay:
    @pytest.mark.parametrize(("day", "end"), DAYS)
    def test_ends_with_its_last_second_in_the_zone(self, member, day, end):
        created = member.post("/api/v1/tasks", json={"title": "Paint", "due_at": day}).json
        path = f"/api/v1/tasks/{created['id']}"
        answers = [
            created,
            member.patch(path, json={"due_at": None}) and member.patch(path, json={"due_at": day}).json,
            member.put(path, json={"title": "Paint", "due_at": day}).json,
            member.patch(f"{path}/status", json={"due_at": day}).json,
        ]

        assert [answer["due_at"] for answer in answers] == [end.isoformat(timespec="microseconds")] * 4

    def test_repeating_the_day_changes_nothing(self, member):
        created = member.post("/api/v1/tasks", json={"title": "Paint", "due_at": "2026-03-29"}).json

        again = member.patch(f"/api/v1/tasks/{created['id']}", json={"due_at": "2026-03-29"}).json

        assert again["version"] == created["version"]

    @pytest.mark.parametrize("text", ["2026-02-30", "2026-03", "0001-01-01", "9999-12-31"])
    def test_that_cannot_be_kept_is_refused(self, member, text):
        assert member.post("/api/v1/tasks", json={"title": "Paint", "due_at": text}).status_code == 422


class TestOverdue:
    @pytest.mark.parametrize(("day", "end"), DAYS)
    def test_begins_when_the_day_is_over(self, member, clock, day, end):
        member.post("/api/v1/tasks", json={"title": "Paint", "due_at": day})

        clock.now = end
        in_time = titles(member, "overdue=true")
        clock.advance(seconds=1)
        assert (in_time, titles(member, "overdue=true&limit=7")) == ([], ["Paint"])


class TestFilter:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("due_after=2026-03-29&due_before=2026-03-30", ["2026-03-29"]),
            ("due_after=2026-03-30", ["2026-03-30"]),
            ("due_before=2026-03-29", ["2026-03-28"]),
            ("due_after=2026-03-29T22:00:00Z", ["2026-03-30"]),
            ("due_before=2026-03-28T22:59:59Z", []),
        ],
    )
    def test_a_day_means_its_beginning_in_the_zone(self, member, query, expected):
        for day in ("2026-03-28", "2026-03-29", "2026-03-30"):
            member.post("/api/v1/tasks", json={"title": day, "due_at": day})

        assert titles(member, query) == expected

    def test_the_export_selects_the_same_tasks(self, member):
        for day in ("2026-03-28", "2026-03-29"):
            member.post("/api/v1/tasks", json={"title": day, "due_at": day})

        exported = member.get("/api/v1/tasks/export?due_after=2026-03-29").get_data(as_text=True)

        assert exported.count(",2026-03-29,") == 2
        assert "2026-03-28" not in exported


def titles(client, query):
    return [task["title"] for task in client.get(f"/api/v1/tasks?{query}").json["items"]]


@pytest.fixture
def zone():
    return "Europe/Berlin"


@pytest.fixture
def member(client, factories):
    return client.acting_as(factories.User(role=Role.USER))
