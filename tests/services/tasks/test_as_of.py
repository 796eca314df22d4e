from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete

from app.errors import ForbiddenError, InvalidError
from app.http.responses import envelope_of
from app.models.people.user import Role, User
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.queries.tasks import SORT_NAMES, TaskQuery

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# What is said of a task at noon, what is said of it an hour later, and what is asked for that only the first matches.
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
    "a word of the description": ({"description": "in green"}, {"description": ""}, {"q": "green"}),
    "words of both": ({"title": "Fence", "description": "in green"}, {"title": "Wall"}, {"q": "green fence"}),
    "words of neither": ({"title": "Fence"}, {"title": "Wall"}, {"q": "-wall"}),
    "a title": ({"title": "Fence"}, {"title": "Wall"}, {"q": '"fence"', "creator": "me"}),
}

titles = st.sampled_from(["Paint the fence", "Water the plants", "One", "Ünï"])
moments = st.none() | st.integers(-48, 48).map(lambda hours: NOON + timedelta(hours=hours))
changes = st.fixed_dictionaries(
    {},
    optional={
        "title": titles,
        "description": st.sampled_from(["", "the fence", "in green"]),
        "project": st.sampled_from(["GEN", "OPS"]),
        "status": st.sampled_from(TaskStatus),
        "priority": st.sampled_from(TaskPriority),
        "labels": st.lists(st.sampled_from(["red", "green", "blue"]), unique=True),
        "assignee": st.sampled_from(["ann", "boss", None]),
        "due_at": moments,
        "external_ref": st.sampled_from(["A", "B", None]),
    },
)
which = st.integers(0, 9)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), titles, changes),
        st.tuples(st.just("change"), which, changes),
        st.tuples(st.just("delete"), which, st.none()),
        st.tuples(st.just("restore"), which, st.none()),
    ),
    max_size=12,
)
queries = st.builds(
    TaskQuery,
    sort=st.sampled_from(SORT_NAMES),
    deleted=st.booleans(),
    overdue=st.sampled_from([None, None, True, False]),
    q=st.sampled_from([None, None, "fence", "green OR water"]),
    assignee=st.sampled_from([None, None, "ann", "none", "me"]),
    statuses=st.sampled_from([(), (), ("todo", "blocked"), ("done",)]),
    labels=st.sampled_from([(), (), ("red",), ("green", "blue")]),
    projects=st.sampled_from([(), (), ("OPS",), ("GEN", "OPS")]),
    include_total=st.just(True),
    limit=st.just(200),
)


class TestFilters:
    @pytest.mark.parametrize(
        ("said", "said_later", "asked"), CHANGES_OUT_OF_SIGHT.values(), ids=CHANGES_OUT_OF_SIGHT.keys()
    )
    def test_look_at_the_state_of_that_time(self, services, boss, clock, said, said_later, asked):
        task = create(services, boss, **said)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, said_later)

        then, up_to_the_change, later = (
            ids_as_of(services, boss, instant, **asked) for instant in (NOON, NOON + HOUR - INSTANT, NOON + HOUR)
        )

        assert (then, up_to_the_change, later) == ([task.id], [task.id], [])

    @pytest.mark.parametrize(
        ("said", "said_later", "asked"), CHANGES_OUT_OF_SIGHT.values(), ids=CHANGES_OUT_OF_SIGHT.keys()
    )
    def test_find_as_well_what_came_to_match_and_not_what_matches_no_more(
        self, services, boss, clock, said, said_later, asked
    ):
        """The other way round: from what does not match to what does, and back."""
        task = create(services, boss, **said)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, said_later)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, back_to(said))
        clock.advance(hours=9)

        found = [ids_as_of(services, boss, NOON + n * HOUR, **asked) for n in range(3)]

        assert found == [[task.id], [], [task.id]]

    def test_of_creators(self, services, boss, ann, clock):
        mine, anns = create(services, boss), create(services, ann)
        clock.advance(hours=1)
        services.tasks.change(boss, anns.id, {"title": "Touched by another"})

        assert ids_as_of(services, boss, NOON, creator="me") == [mine.id]
        assert ids_as_of(services, boss, NOON, creator="ANN") == [anns.id]
        assert ids_as_of(services, boss, NOON, creator=str(ann.user_id)) == [anns.id]

    def test_take_as_started_what_was_started_by_then(self, services, boss, clock):
        task = create(services, boss)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"status": TaskStatus.IN_PROGRESS})
        clock.advance(hours=1)

        found_after = [ids_as_of(services, boss, NOON + n * HOUR, started_after=NOON) for n in range(3)]
        found_before = [ids_as_of(services, boss, NOON + n * HOUR, started_before=NOON + 2 * HOUR) for n in range(3)]

        assert found_after == found_before == [[], [task.id], [task.id]]
        assert ids_as_of(services, boss, NOON + 2 * HOUR, started_before=NOON + HOUR) == []

    def test_know_from_when_the_state_was(self, services, boss, clock):
        task = create(services, boss)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"title": "New"})
        clock.advance(hours=1)

        assert ids_as_of(services, boss, NOON, updated_since=NOON) == [task.id]
        assert ids_as_of(services, boss, NOON, updated_since=NOON + INSTANT) == []
        assert ids_as_of(services, boss, NOON + HOUR, updated_since=NOON + HOUR) == [task.id]

    def test_take_overdue_as_it_was_then_and_not_as_it_is_now(self, services, boss, clock):
        task = create(services, boss, due_at=NOON + HOUR)
        clock.advance(days=1)

        assert ids_as_of(services, boss, NOON + HOUR, overdue=True) == []
        assert ids_as_of(services, boss, NOON + HOUR, overdue=False) == [task.id]
        assert ids_as_of(services, boss, NOON + HOUR + INSTANT, overdue=True) == [task.id]

    def test_do_not_find_what_was_completed_before_it_was_reopened_and_done_again(self, services, boss, clock):
        task = create(services, boss, status=TaskStatus.DONE)
        for status in (TaskStatus.TODO, TaskStatus.DONE):
            clock.advance(hours=1)
            services.tasks.change(boss, task.id, {"status": status})

        assert ids_as_of(services, boss, NOON + HOUR - INSTANT, completed_before=NOON + INSTANT) == [task.id]
        assert ids_as_of(services, boss, NOON + 2 * HOUR, completed_before=NOON + INSTANT) == []
        assert ids_as_of(services, boss, NOON + 2 * HOUR, completed_after=NOON + 2 * HOUR) == [task.id]


class TestItems:
    def test_have_all_that_the_task_was(self, services, boss, clock):
        said = {
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
        before = create(services, boss, **said).values
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

    def test_say_since_when_the_task_was_so(self, services, boss, clock):
        task = create(services, boss)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"title": "New"})
        clock.advance(hours=5)

        (then,) = items_as_of(services, boss, NOON + 3 * HOUR)

        assert (then["updated_at"], then["version"]) == ("2026-03-10T13:00:00+00:00", 2)

    def test_call_people_by_their_names_of_now(self, services, boss, ann, clock, session):
        create(services, boss, assignee="ann")
        clock.advance(hours=1)
        session.get_one(User, ann.user_id).username = "anna"
        session.flush()

        (then,) = items_as_of(services, boss, NOON)

        assert (then["assignee"], then["creator"]) == ("anna", "boss")


class TestDeleted:
    def test_since_then_is_still_in_the_list(self, services, boss, clock):
        task = create(services, boss)
        clock.advance(hours=1)
        services.tasks.delete(boss, task.id)
        clock.advance(hours=1)

        (then,) = items_as_of(services, boss, NOON + HOUR - INSTANT)

        assert (then["id"], then["deleted_at"]) == (task.id, None)

    def test_by_then_is_in_the_list_of_the_deleted(self, services, boss, clock):
        task = create(services, boss)
        clock.advance(hours=1)
        services.tasks.delete(boss, task.id)
        clock.advance(hours=1)

        (then,) = items_as_of(services, boss, NOON + HOUR, deleted=True)

        assert (then["id"], then["deleted_at"]) == (task.id, "2026-03-10T13:00:00+00:00")
        assert ids_as_of(services, boss, NOON + HOUR) == []
        assert ids_as_of(services, boss, NOON, deleted=True) == []

    def test_and_restored_since_is_deleted_as_of_then(self, services, boss, clock):
        task = create(services, boss)
        for do in (services.tasks.delete, services.tasks.restore):
            clock.advance(hours=1)
            do(boss, task.id)

        found = [ids_as_of(services, boss, NOON + n * HOUR) for n in range(3)]
        found_deleted = [ids_as_of(services, boss, NOON + n * HOUR, deleted=True) for n in range(3)]

        assert found == [[task.id], [], [task.id]]
        assert found_deleted == [[], [task.id], []]

    def test_for_good_is_still_in_the_list_of_before(self, services, boss, clock, session):
        task = create(services, boss, title="Purged", assignee="ann")
        clock.advance(hours=1)
        session.execute(delete(Task).where(Task.id == task.id))

        (then,) = items_as_of(services, boss, NOON + HOUR - INSTANT)

        assert (then["title"], then["assignee"]) == ("Purged", "ann")
        assert ids_as_of(services, boss, NOON + HOUR) == []
        assert ids_as_of(services, boss, NOON + HOUR, deleted=True) == []

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_may_not_be_listed_by_who_may_not_restore(self, services, factories, acting_as, role):
        with pytest.raises(ForbiddenError):
            items_as_of(services, acting_as(factories.User(role=role)), NOON, deleted=True)


class TestWhen:
    def test_before_the_first_task_there_is_nothing(self, services, boss):
        create(services, boss, created_at=NOON - 9 * DAY)

        body = page_as_of(services, boss, NOON - INSTANT, include_total=True)

        assert body == {"items": [], "next_cursor": None, "total": 0, "total_is_capped": False}

    @pytest.mark.parametrize("instant", [datetime(2, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC)])
    def test_long_ago_there_was_nothing_either(self, services, boss, instant):
        create(services, boss)

        assert ids_as_of(services, boss, instant) == []

    def test_a_change_counts_from_its_own_instant_on(self, services, boss, clock):
        task = create(services, boss, title="Old")
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"title": "New"})

        found = [titles_as_of(services, boss, NOON + HOUR + n * INSTANT) for n in (-1, 0, 1)]

        assert found == [["Old"], ["New"], ["New"]]

    @pytest.mark.parametrize("instant", [NOON + timedelta(seconds=61), datetime(9998, 12, 31, tzinfo=UTC)])
    def test_what_is_still_to_come_is_refused(self, services, boss, instant):
        with pytest.raises(InvalidError, match="is still to come"):
            items_as_of(services, boss, instant)

    def test_clocks_may_be_a_minute_apart(self, services, boss):
        task = create(services, boss)

        assert ids_as_of(services, boss, NOON + timedelta(seconds=60)) == [task.id]

    def test_another_offset_means_the_same_instant(self, services, boss, clock):
        create(services, boss, title="Old")
        clock.advance(hours=1)

        assert titles_as_of(services, boss, datetime.fromisoformat("2026-03-10T14:00:00+02:00")) == ["Old"]
        assert titles_as_of(services, boss, datetime.fromisoformat("2026-03-10T12:59:59.999999+01:00")) == []


class TestPages:
    @pytest.mark.parametrize("sort", SORT_NAMES)
    def test_join_to_the_list_of_that_time_however_it_is_sorted(self, services, boss, board, clock, sort):
        expected = all_items(services, boss, TaskQuery(sort=sort, limit=200))
        board.turn_upside_down()

        found = all_items(services, boss, TaskQuery(sort=sort, limit=3, as_of=NOON + HOUR))

        assert len(found) == 10
        assert found == expected

    @pytest.mark.parametrize("sort", ["-updated_at", "title", "-due_at"])
    def test_join_even_if_tasks_change_between_them(self, services, boss, board, sort):
        query = TaskQuery(sort=sort, limit=3, as_of=NOON + HOUR)
        expected = all_items(services, boss, query)

        found = all_items(services, boss, query, between=board.turn_upside_down)

        assert found == expected

    def test_count_what_there_was_with_every_page(self, services, boss, board):
        board.turn_upside_down()

        first = page_as_of(services, boss, NOON + HOUR, include_total=True, limit=4)
        second = page_as_of(services, boss, NOON + HOUR, include_total=True, limit=4, cursor=first["next_cursor"])
        filtered = page_as_of(services, boss, NOON + HOUR, include_total=True, limit=1, statuses=("todo",))

        assert (first["total"], second["total"], filtered["total"]) == (10, 10, 2)

    def test_of_another_sort_are_not_continued(self, services, boss, board):
        first = page_as_of(services, boss, NOON + HOUR, limit=4)

        with pytest.raises(InvalidError, match="another sort order"):
            page_as_of(services, boss, NOON + HOUR, limit=4, sort="title", cursor=first["next_cursor"])

    def test_of_two_instants_are_not_taken_for_each_other_by_the_cache(self, services, boss, clock):
        task = create(services, boss, title="Old")
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"title": "New"})

        found = [titles_as_of(services, boss, instant) for instant in (NOON, NOON + HOUR, NOON)]

        assert found == [["Old"], ["New"], ["Old"]]


class TestWhoSees:
    def test_of_projects_one_is_not_in_there_was_nothing(self, services, boss, ben):
        create(services, boss, project="OPS")

        assert page_as_of(services, ben, NOON, include_total=True) == {
            "items": [],
            "next_cursor": None,
            "total": 0,
            "total_is_capped": False,
        }
        assert ids_as_of(services, ben, NOON, projects=("OPS",)) == []

    def test_what_has_left_ones_project_is_seen_as_it_was_in_it(self, services, boss, ben, clock):
        task = create(services, boss, title="For all")
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"project": "OPS", "title": "Secret"})

        found = [titles_as_of(services, ben, instant) for instant in (NOON, NOON + HOUR)]

        assert found == [["For all"], []]

    def test_what_has_come_into_ones_project_is_not_seen_as_it_was_before(self, services, boss, ben, clock):
        task = create(services, boss, title="Secret", project="OPS")
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"project": "GEN", "title": "For all"})

        found = [titles_as_of(services, ben, instant) for instant in (NOON, NOON + HOUR)]

        assert found == [[], ["For all"]]

    def test_who_is_a_member_now_sees_what_was_there_before(self, services, boss, factories, acting_as, ops, clock):
        task = create(services, boss, project="OPS")
        clock.advance(hours=1)
        newcomer = factories.User()
        factories.ProjectMember(project_id=ops.id, user_id=newcomer.id)

        assert ids_as_of(services, acting_as(newcomer), NOON) == [task.id]


class TestNowAndThen:
    @hypothesis_settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(steps=steps, query=queries)
    def test_the_list_as_of_an_instant_is_what_the_list_was_at_it(
        self, services, factories, acting_as, boss, clock, steps, query
    ):
        """What examples before this one left behind was made by others."""
        author = acting_as(factories.User(role=Role.ADMIN))
        query = replace(query, creator="me")
        ids: list[int] = []
        seen = {clock(): body_of(services, author, query)}
        for step in steps:
            clock.advance(hours=1)
            take(services, author, step, ids)
            seen[clock()] = body_of(services, author, query)
            assert body_of(services, author, replace(query, as_of=clock())) == seen[clock()]
        clock.advance(days=1)

        found = {instant: body_of(services, author, replace(query, as_of=instant)) for instant in seen}

        # Whether a task is overdue is asked of the instant.
        assert found == seen

    def test_a_move_on_the_board_is_no_version(self, services, boss, clock):
        task = create(services, boss, position=1.0)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"position": 2.0})
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"title": "New"})

        found = [items_as_of(services, boss, NOON + n * HOUR)[0] for n in range(3)]

        assert [(item["position"], item["version"]) for item in found] == [(1.0, 1), (1.0, 1), (2.0, 3)]


def create(services, actor, *, title="One", **said):
    return services.tasks.create(actor, {"title": title, **said})


def back_to(said):
    """What leads from any later state to the first one: all that was said, and defaults for what was not."""
    defaults = {
        "status": TaskStatus.TODO,
        "title": "One",
        "description": "",
        "project": "GEN",
        "priority": TaskPriority.MEDIUM,
        "labels": [],
        "assignee": None,
        "due_at": None,
        "created_at": NOON,
    }
    return {**defaults, **said}


def take(services, actor, step, ids):
    """One step of a story; about a task that is not there, or is not so, it is none."""
    verb, subject, said = step
    if verb == "create":
        ids.append(services.tasks.create(actor, {"title": subject, **said}).id)
        return
    if not ids:
        return
    task_id = ids[subject % len(ids)]
    is_deleted = services.task_views.get(actor, task_id).values["deleted_at"] is not None
    if verb == "restore" and is_deleted:
        services.tasks.restore(actor, task_id)
    elif verb == "delete" and not is_deleted:
        services.tasks.delete(actor, task_id)
    elif verb == "change" and not is_deleted:
        services.tasks.change(actor, task_id, said)


def body_of(services, actor, query):
    page, _was_cached = services.task_views.list_page(actor, query)
    return orjson.loads(envelope_of(page))


def page_as_of(services, actor, instant, **asked):
    return body_of(services, actor, TaskQuery(as_of=instant, **asked))


def items_as_of(services, actor, instant, **asked):
    return page_as_of(services, actor, instant, **asked)["items"]


def ids_as_of(services, actor, instant, **asked):
    return [item["id"] for item in items_as_of(services, actor, instant, **asked)]


def titles_as_of(services, actor, instant, **asked):
    return [item["title"] for item in items_as_of(services, actor, instant, **asked)]


def all_items(services, actor, query, *, between=None):
    """Page after page; `between` is done once, after the first."""
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
    """Ten tasks that come within an hour, with some that are the same in what one sorts by."""

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
            said = {"title": f"U{-number % 5}", "status": TaskStatus.TODO, "priority": TaskPriority.LOW}
            changes = {**said, "due_at": None, "position": number, "project": "OPS"}
            self._services.tasks.change(self._boss, task_id, changes)
        for task_id in self.ids[-3:]:
            self._services.tasks.delete(self._boss, task_id)
        create(self._services, self._boss, title="Later")
        self._clock.advance(hours=1)


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def ops(factories):
    return factories.Project(key="OPS")


@pytest.fixture
def boss(factories, acting_as, ops, ann, ben):
    return acting_as(factories.User(username="boss", role=Role.ADMIN))


@pytest.fixture
def ann(factories, acting_as, ops):
    """In OPS, as ben is not."""
    user = factories.User(username="ann")
    factories.ProjectMember(project_id=ops.id, user_id=user.id)
    return acting_as(user)


@pytest.fixture
def ben(factories, acting_as):
    return acting_as(factories.User(username="ben"))


@pytest.fixture
def board(services, boss, clock):
    return Board(services, boss, clock)
