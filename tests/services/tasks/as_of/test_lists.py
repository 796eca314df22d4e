from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.errors import InvalidError
from app.models.people.user import User
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.queries.tasks import SORT_NAMES, TaskQuery
from tests.services.tasks.as_of.looking_back import (
    HOUR,
    INSTANT,
    NOON,
    body_of,
    create,
    ids_as_of,
    items_as_of,
    page_as_of,
    titles_as_of,
)

DAY = timedelta(days=1)

# The fields of a task at noon, its fields an hour later, and a filter that only the first state matches.
CHANGES_OUT_OF_SIGHT = {
    "a status": ({}, {"status": TaskStatus.BLOCKED}, {"statuses": (TaskStatus.TODO, TaskStatus.DONE)}),
    "a priority": ({"priority": TaskPriority.LOW}, {"priority": TaskPriority.HIGH}, {"priorities": ("low",)}),
    "a project": ({}, {"project": "OPS"}, {"projects": ("GEN",)}),
    "one of two projects": ({"project": "OPS"}, {"project": "GEN"}, {"projects": ("OPS", "NONE")}),
    "an assignee": ({"assignee": "ann"}, {"assignee": "ben"}, {"assignee": "Ann"}),
    "an assignee, taken away": ({"assignee": "ann"}, {"assignee": None}, {"assignee": "ann"}),
    "nobody as the assignee": ({}, {"assignee": "ann"}, {"assignee": "none"}),
    "oneself as the assignee": ({"assignee": "boss"}, {"assignee": "ann"}, {"assignee": "me"}),
    "a label": ({"labels": ["red", "green"]}, {"labels": ["green"]}, {"labels": ("red",)}),
    "two labels": ({"labels": ["red", "green", "blue"]}, {"labels": ["red", "blue"]}, {"labels": ("green", "red")}),
    "due before": ({"due_at": NOON + DAY}, {"due_at": NOON + 3 * DAY}, {"due_before": NOON + DAY + INSTANT}),
    "due after": ({"due_at": NOON + 3 * DAY}, {"due_at": NOON + DAY}, {"due_after": NOON + 3 * DAY}),
    "a deadline, taken away": ({"due_at": NOON + DAY}, {"due_at": None}, {"due_before": NOON + 9 * DAY}),
    "created before": ({"created_at": NOON - DAY}, {"created_at": NOON}, {"created_before": NOON}),
    "created after": ({"created_at": NOON}, {"created_at": NOON - DAY}, {"created_after": NOON}),
    "completed before": ({"status": TaskStatus.DONE}, {"status": TaskStatus.TODO}, {"completed_before": NOON + DAY}),
    "completed after": ({"status": TaskStatus.CANCELLED}, {"status": TaskStatus.TODO}, {"completed_after": NOON}),
    "overdue": ({"due_at": NOON - HOUR}, {"status": TaskStatus.DONE}, {"overdue": True}),
    "overdue, put off": ({"due_at": NOON - HOUR}, {"due_at": NOON + DAY}, {"overdue": True}),
    "not overdue": ({}, {"due_at": NOON}, {"overdue": False}),
    "a word of the title": ({"title": "Paint the fence"}, {"title": "Water the plants"}, {"q": "fence"}),
    "the beginning of a word": ({"title": "Paint the fence"}, {"title": "Water the plants"}, {"q": "fen"}),
    "an external reference": ({"external_ref": "A-1"}, {"external_ref": "A-2"}, {"external_ref": "A-1"}),
    "a word of the description": ({"description": "in green"}, {"description": ""}, {"q": "green"}),
    "words of both": ({"title": "Fence", "description": "in green"}, {"title": "Wall"}, {"q": "green fence"}),
    "words of neither": ({"title": "Fence"}, {"title": "Wall"}, {"q": "-wall"}),
    "a title": ({"title": "Fence"}, {"title": "Wall"}, {"q": '"fence"', "creator": "me"}),
}


class TestFilters:
    @pytest.mark.parametrize(
        ("values", "later_values", "filters"), CHANGES_OUT_OF_SIGHT.values(), ids=CHANGES_OUT_OF_SIGHT.keys()
    )
    def test_look_at_the_state_at_that_time(self, services, boss, clock, values, later_values, filters):
        task = create(services, boss, **values)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, later_values)

        then, up_to_the_change, later = (
            ids_as_of(services, boss, instant, **filters) for instant in (NOON, NOON + HOUR - INSTANT, NOON + HOUR)
        )

        assert (then, up_to_the_change, later) == ([task.id], [task.id], [])

    @pytest.mark.parametrize(
        ("values", "later_values", "filters"), CHANGES_OUT_OF_SIGHT.values(), ids=CHANGES_OUT_OF_SIGHT.keys()
    )
    def test_find_a_task_that_came_to_match_and_not_one_that_ceased_to(
        self, services, boss, clock, values, later_values, filters
    ):
        """The opposite direction: a task comes to match, and a task ceases to match."""
        task = create(services, boss, **values)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, later_values)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, back_to(values))
        clock.advance(hours=9)

        listed = [ids_as_of(services, boss, NOON + n * HOUR, **filters) for n in range(3)]

        assert listed == [[task.id], [], [task.id]]

    def test_select_by_the_ref_of_that_time(self, services, boss, clock):
        task = create(services, boss)
        ref = task.values["ref"]
        clock.advance(hours=1)
        new_ref = services.tasks.change(boss, task.id, {"project": "OPS"}).values["ref"]

        found = [
            ids_as_of(services, boss, NOON + n * HOUR, refs=refs) for n in range(2) for refs in ((ref,), (new_ref,))
        ]

        assert found == [[task.id], [], [], [task.id]]

    def test_select_by_creator(self, services, boss, ann, clock):
        mine, anns = create(services, boss), create(services, ann)
        clock.advance(hours=1)
        services.tasks.change(boss, anns.id, {"title": "Touched by another"})

        assert ids_as_of(services, boss, NOON, creator="me") == [mine.id]
        assert ids_as_of(services, boss, NOON, creator="ANN") == [anns.id]
        assert ids_as_of(services, boss, NOON, creator=str(ann.user_id)) == [anns.id]

    def test_count_a_task_as_started_if_it_was_started_by_then(self, services, boss, clock):
        task = create(services, boss)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"status": TaskStatus.IN_PROGRESS})
        clock.advance(hours=1)

        listed_after = [ids_as_of(services, boss, NOON + n * HOUR, started_after=NOON) for n in range(3)]
        listed_before = [ids_as_of(services, boss, NOON + n * HOUR, started_before=NOON + 2 * HOUR) for n in range(3)]

        assert listed_after == listed_before == [[], [task.id], [task.id]]
        assert ids_as_of(services, boss, NOON + 2 * HOUR, started_before=NOON + HOUR) == []

    def test_use_the_time_of_the_state(self, services, boss, clock):
        task = create(services, boss)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"title": "New"})
        clock.advance(hours=1)

        assert ids_as_of(services, boss, NOON, updated_since=NOON) == [task.id]
        assert ids_as_of(services, boss, NOON, updated_since=NOON + INSTANT) == []
        assert ids_as_of(services, boss, NOON + HOUR, updated_since=NOON + HOUR) == [task.id]

    def test_decide_overdue_at_that_time_and_not_now(self, services, boss, clock):
        task = create(services, boss, due_at=NOON + HOUR)
        clock.advance(days=1)

        assert ids_as_of(services, boss, NOON + HOUR, overdue=True) == []
        assert ids_as_of(services, boss, NOON + HOUR, overdue=False) == [task.id]
        assert ids_as_of(services, boss, NOON + HOUR + INSTANT, overdue=True) == [task.id]

    def test_do_not_find_the_first_completion_of_a_task_that_was_done_again(self, services, boss, clock):
        task = create(services, boss, status=TaskStatus.DONE)
        for status in (TaskStatus.TODO, TaskStatus.DONE):
            clock.advance(hours=1)
            services.tasks.change(boss, task.id, {"status": status})

        assert ids_as_of(services, boss, NOON + HOUR - INSTANT, completed_before=NOON + INSTANT) == [task.id]
        assert ids_as_of(services, boss, NOON + 2 * HOUR, completed_before=NOON + INSTANT) == []
        assert ids_as_of(services, boss, NOON + 2 * HOUR, completed_after=NOON + 2 * HOUR) == [task.id]


class TestItems:
    def test_have_every_field_of_the_task_at_that_time(self, services, boss, clock):
        values = {
            "title": "Old",
            "description": "long",
            "status": TaskStatus.IN_PROGRESS,
            "priority": TaskPriority.CRITICAL,
            "labels": ["x", "y"],
            "assignee": "ann",
            "due_at": NOON + DAY,
            "external_ref": "JIRA-42",
            "position": 42.5,
            "project": "OPS",
        }
        before = create(services, boss, **values).values
        clock.advance(hours=1)
        taken_away = dict.fromkeys(("assignee", "due_at", "external_ref"))
        services.tasks.change(
            boss,
            before["id"],
            {
                "title": "New",
                "description": "short",
                "status": TaskStatus.DONE,
                "priority": TaskPriority.LOW,
                "labels": [],
                "position": 1,
                "project": "GEN",
                **taken_away,
            },
        )

        (then,) = items_as_of(services, boss, NOON)

        assert then == before
        assert then["ref"] == "OPS-1"

    def test_state_since_when_the_task_had_that_state(self, services, boss, clock):
        task = create(services, boss)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"title": "New"})
        clock.advance(hours=5)

        (then,) = items_as_of(services, boss, NOON + 3 * HOUR)

        assert (then["updated_at"], then["version"]) == ("2026-03-10T13:00:00.000000+00:00", 2)

    def test_show_people_with_their_current_names(self, services, boss, ann, clock, session):
        create(services, boss, assignee="ann")
        clock.advance(hours=1)
        session.get_one(User, ann.user_id).username = "anna"
        session.flush()

        (then,) = items_as_of(services, boss, NOON)

        assert (then["assignee"], then["creator"]) == ("anna", "boss")


class TestWhen:
    def test_the_list_is_empty_before_the_first_task(self, services, boss):
        create(services, boss, created_at=NOON - 9 * DAY)

        body = page_as_of(services, boss, NOON - INSTANT, include_total=True)

        assert body == {"items": [], "next_cursor": None, "total": 0, "total_is_capped": False}

    @pytest.mark.parametrize("instant", [datetime(2, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC)])
    def test_the_list_is_empty_long_ago(self, services, boss, instant):
        create(services, boss)

        assert ids_as_of(services, boss, instant) == []

    def test_a_change_counts_from_its_own_instant(self, services, boss, clock):
        task = create(services, boss, title="Old")
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"title": "New"})

        listed = [titles_as_of(services, boss, NOON + HOUR + n * INSTANT) for n in (-1, 0, 1)]

        assert listed == [["Old"], ["New"], ["New"]]

    @pytest.mark.parametrize("instant", [NOON + timedelta(seconds=61), datetime(9998, 12, 31, tzinfo=UTC)])
    def test_a_future_instant_is_refused(self, services, boss, instant):
        with pytest.raises(InvalidError, match="is in the future"):
            items_as_of(services, boss, instant)

    def test_the_clock_of_a_client_may_be_a_minute_ahead(self, services, boss):
        task = create(services, boss)

        assert ids_as_of(services, boss, NOON + timedelta(seconds=60)) == [task.id]

    def test_another_offset_means_the_same_instant(self, services, boss, clock):
        create(services, boss, title="Old")
        clock.advance(hours=1)

        assert titles_as_of(services, boss, datetime.fromisoformat("2026-03-10T14:00:00+02:00")) == ["Old"]
        assert titles_as_of(services, boss, datetime.fromisoformat("2026-03-10T12:59:59.999999+01:00")) == []


class TestPages:
    @pytest.mark.parametrize("sort", [*SORT_NAMES, "priority,-due_at", "-title,status,-id", "due_at,priority"])
    def test_join_to_the_list_of_that_time_in_every_sort(self, services, boss, board, clock, sort):
        expected = all_items(services, boss, TaskQuery(sort=tuple(sort.split(",")), limit=200))
        board.turn_upside_down()

        listed = all_items(services, boss, TaskQuery(sort=tuple(sort.split(",")), limit=3, as_of=NOON + HOUR))

        assert len(listed) == 10
        assert listed == expected

    @pytest.mark.parametrize("sort", ["-updated_at", "title", "-due_at", "priority,-due_at"])
    def test_join_even_if_tasks_change_between_them(self, services, boss, board, sort):
        query = TaskQuery(sort=tuple(sort.split(",")), limit=3, as_of=NOON + HOUR)
        expected = all_items(services, boss, query)

        listed = all_items(services, boss, query, between=board.turn_upside_down)

        assert listed == expected

    def test_every_page_has_the_total_of_that_time(self, services, boss, board):
        board.turn_upside_down()

        first = page_as_of(services, boss, NOON + HOUR, include_total=True, limit=4)
        second = page_as_of(services, boss, NOON + HOUR, include_total=True, limit=4, cursor=first["next_cursor"])
        filtered = page_as_of(services, boss, NOON + HOUR, include_total=True, limit=1, statuses=("todo",))

        assert (first["total"], second["total"], filtered["total"]) == (10, 10, 2)

    def test_a_cursor_of_another_sort_is_refused(self, services, boss, board):
        first = page_as_of(services, boss, NOON + HOUR, limit=4)

        with pytest.raises(InvalidError, match="another sort order"):
            page_as_of(services, boss, NOON + HOUR, limit=4, sort=("title",), cursor=first["next_cursor"])

    def test_the_cache_keeps_two_instants_apart(self, services, boss, clock):
        task = create(services, boss, title="Old")
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"title": "New"})

        listed = [titles_as_of(services, boss, instant) for instant in (NOON, NOON + HOUR, NOON)]

        assert listed == [["Old"], ["New"], ["Old"]]


def back_to(values):
    """Build the change that restores the first state: the changed fields return to their defaults."""
    defaults = {
        "status": TaskStatus.TODO,
        "title": "One",
        "description": "",
        "project": "GEN",
        "priority": TaskPriority.MEDIUM,
        "labels": [],
        "assignee": None,
        "due_at": None,
        "external_ref": None,
        "created_at": NOON,
    }
    return {**defaults, **values}


def all_items(services, actor, query, *, between=None):
    """Collect all pages; `between` is called once, after the first page."""
    items = []
    while True:
        body = body_of(services, actor, query)
        items += body["items"]
        if body["next_cursor"] is None:
            return items
        query = replace(query, cursor=body["next_cursor"])
        if between is not None:
            between()
            between = None


class Board:
    """Ten tasks that come within an hour; some have equal values in the fields that lists are sorted by."""

    def __init__(self, services, boss, clock):
        self._services, self._boss, self._clock = services, boss, clock
        statuses, priorities = list(TaskStatus), list(TaskPriority)
        self.ids = [
            create(
                services,
                boss,
                title=f"T{number % 4}",
                status=statuses[number % 5],
                priority=priorities[number % 3],
                due_at=NOON + (number % 3) * DAY if number % 4 else None,
                created_at=NOON - (number % 7) * DAY,
                position=float(-number % 6),
            ).id
            for number in range(10)
        ]
        clock.now = NOON + HOUR
        for task_id in self.ids[::4]:
            services.tasks.change(boss, task_id, {"description": "touched"})

    def turn_upside_down(self):
        self._clock.advance(hours=1)
        for number, task_id in enumerate(self.ids[:-2]):
            values = {"title": f"U{-number % 5}", "status": TaskStatus.TODO, "priority": TaskPriority.LOW}
            changes = {**values, "due_at": None, "position": number, "project": "OPS"}
            self._services.tasks.change(self._boss, task_id, changes)
        for task_id in self.ids[-3:]:
            self._services.tasks.delete(self._boss, task_id)
        create(self._services, self._boss, title="Later")
        self._clock.advance(hours=1)


@pytest.fixture
def board(services, boss, clock):
    return Board(services, boss, clock)
