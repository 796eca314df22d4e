"""Moves on the board, and the order that they leave."""

import random

import pytest
from sqlalchemy import select, text

from app.errors import ForbiddenError, InvalidError, NotFoundError, PreconditionFailedError, StatusChangedError
from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from app.queries.tasks import TaskQuery

TODO, IN_PROGRESS, DONE = TaskStatus.TODO, TaskStatus.IN_PROGRESS, TaskStatus.DONE
MOVES = 300


class TestPlace:
    @pytest.mark.parametrize(
        ("move", "expected"),
        [
            ({"after": None}, "dabc"),
            ({"before": None}, "abcd"),
            ({"after": "a"}, "adbc"),
            ({"after": "b"}, "abdc"),
            ({"after": "c"}, "abcd"),
            ({"before": "a"}, "dabc"),
            ({"before": "b"}, "adbc"),
        ],
    )
    def test_beside_a_task_or_at_an_end_of_the_column(self, service, boss, column, titles, move, expected):
        tasks = column("abcd")

        service.move(boss, tasks["d"].id, named(move, tasks))

        assert titles(TODO) == expected

    def test_a_neighbour_may_be_named_by_its_ref(self, service, boss, column, titles, ops):
        tasks = column("abc")

        service.move(boss, f"OPS-{tasks['c'].number}", {"after": f"OPS-{tasks['a'].number}"})

        assert titles(TODO) == "acb"

    def test_a_new_status_without_a_place_leads_to_the_top(self, service, boss, column, titles):
        tasks = column("abc")
        column("xy", status=DONE)

        service.move(boss, tasks["b"].id, {"status": DONE})

        assert (titles(TODO), titles(DONE)) == ("ac", "bxy")

    def test_of_an_empty_column(self, service, boss, column, titles):
        tasks = column("ab")

        for title in "ab":
            service.move(boss, tasks[title].id, {"status": DONE, "before": None})

        assert (titles(TODO), titles(DONE)) == ("", "ab")

    def test_a_new_task_stands_last_whatever_was_moved_to_the_bottom(self, service, services, boss, column, titles):
        tasks = column("ab")
        for _ in range(3):
            for title in "ab":
                service.move(boss, tasks[title].id, {"before": None})

        services.tasks.create(boss, {"title": "c", "project": "OPS"})

        assert titles(TODO) == "abc"

    def test_a_task_from_another_project_stands_last(self, services, boss, column, titles, factories):
        column("ab")
        general = factories.Task(title="c", position=-5.0)

        services.tasks.change(boss, general.id, {"project": "OPS"})

        assert titles(TODO) == "abc"

    def test_of_tasks_that_share_a_position(self, service, boss, column, titles):
        tasks = column("abc", position=1.0)
        (moved,) = column("m").values()

        service.move(boss, moved.id, {"after": tasks["a"].id})

        assert titles(TODO) == "ambc"

    @pytest.mark.parametrize("position", [1e300, -1e300, 1.7976931348623157e308, -1.7976931348623157e308, 5e-324])
    def test_beside_a_task_at_any_position(self, service, boss, column, titles, position):
        tasks = column("b", position=position)
        tasks |= column("mn", position=0.0)

        service.move(boss, tasks["m"].id, {"after": tasks["b"].id})
        service.move(boss, tasks["n"].id, {"before": tasks["b"].id})

        assert titles(TODO) == "nbm"

    def test_where_the_task_stands_already_it_keeps_its_version(self, service, boss, column):
        tasks = column("abc")

        for move in ({"after": tasks["a"].id}, {"before": tasks["c"].id}, {"status": TODO}):
            assert service.move(boss, tasks["b"].id, move).version == 1


class TestRoom:
    def test_is_made_by_moving_a_few_neighbours(self, service, boss, column, titles, session):
        tasks = column("abcdefgh")
        narrow(session, tasks)
        versions = versions_of(session)

        service.move(boss, tasks["h"].id, {"after": tasks["a"].id})

        assert titles(TODO) == "ahbcdefg"
        changed = {task_id for task_id, version in versions_of(session).items() if version != versions[task_id]}
        assert tasks["h"].id in changed
        assert 2 < len(changed) <= len(tasks)

    def test_leaves_the_time_of_the_last_change(self, service, boss, column, session, clock):
        tasks = column("abcd")
        narrow(session, tasks)
        before = session.execute(select(Task.id, Task.updated_at)).all()

        service.move(boss, tasks["d"].id, {"after": tasks["a"].id})

        after = session.execute(select(Task.id, Task.updated_at)).all()
        assert {row.id for row in set(before) ^ set(after)} == {tasks["d"].id}

    def test_random_moves_leave_the_order_of_a_list(self, service, boss, column, titles):
        tasks = column("abcdefghij")
        order, chosen = list(tasks), random.Random(7)  # noqa: S311
        for _ in range(MOVES):
            title = chosen.choice(order)
            order.remove(title)
            index = chosen.choice([0, 1, 1, 1, len(order) - 1, len(order)])
            neighbour = {"before": tasks[order[index]].id} if index < len(order) else {"before": None}
            order.insert(index, title)
            service.move(boss, tasks[title].id, neighbour)

        assert titles(TODO) == "".join(order)


class TestStatus:
    def test_sets_the_times_as_any_other_change(self, service, boss, column, session, clock):
        (task,) = column("a").values()

        service.move(boss, task.id, {"status": IN_PROGRESS})
        service.move(boss, task.id, {"status": DONE})

        session.refresh(task)
        assert (task.status, task.started_at, task.completed_at) == (DONE, clock(), clock())

    def test_only_a_new_status_makes_a_revision(self, service, services, boss, column):
        tasks = column("ab")

        service.move(boss, tasks["a"].id, {"before": None})
        assert len(services.task_history.list_page(boss, tasks["a"].id, cursor=None, limit=9).items) == 1

        service.move(boss, tasks["a"].id, {"status": DONE})
        (change, _) = services.task_history.list_page(boss, tasks["a"].id, cursor=None, limit=9).items
        assert [each.field for each in change.changes] == ["status", "completed_at"]
        assert change.actor == boss.username

    def test_another_one_than_expected_is_a_conflict(self, service, boss, column, session):
        (task,) = column("a", status=DONE).values()

        with pytest.raises(StatusChangedError, match="the status is done now, not todo"):
            service.move(boss, task.id, {"status": IN_PROGRESS, "expected_status": TODO})

        session.refresh(task)
        assert (task.status, task.version) == (DONE, 1)

    def test_a_move_is_seen_at_once(self, service, services, boss, column):
        tasks = column("ab")
        query = TaskQuery(projects=("OPS",), sort=("position",))
        services.task_views.list_page(boss, query)

        service.move(boss, tasks["b"].id, {"after": None})

        page, _ = services.task_views.list_page(boss, query)
        assert [item["title"] for item in page.items] == ["b", "a"]


class TestRefusals:
    @pytest.mark.parametrize("side", ["after", "before"])
    def test_a_neighbour_must_be_another_task_of_the_column(self, service, boss, column, factories, clock, ops, side):
        tasks = column("ab")
        others = [
            *column("x", status=DONE).values(),
            factories.Task(),
            factories.Task(project_id=ops.id, deleted_at=clock()),
        ]

        for neighbour in (
            tasks["a"].id,
            f"OPS-{tasks['a'].number}",
            *(other.id for other in others),
            999_999,
            "OPS-999",
        ):
            with pytest.raises(InvalidError, match=f"^{side}: "):
                service.move(boss, tasks["a"].id, {side: neighbour})

    def test_a_neighbour_must_have_the_new_status(self, service, boss, column):
        tasks = column("ab")

        with pytest.raises(InvalidError, match=r"after: there is no task .* in the column done of the project"):
            service.move(boss, tasks["a"].id, {"status": DONE, "after": tasks["b"].id})

    def test_a_stale_precondition_moves_nothing(self, service, boss, column, titles):
        tasks = column("ab")

        with pytest.raises(PreconditionFailedError):
            service.move(boss, tasks["b"].id, {"after": None}, may_overwrite=lambda _id, version: version == 7)

        assert titles(TODO) == "ab"

    def test_a_viewer_may_not(self, service, column, member):
        (task,) = column("a").values()

        with pytest.raises(ForbiddenError):
            service.move(member("vera", Role.VIEWER), task.id, {"status": DONE})

    def test_a_task_of_another_project_and_a_deleted_one_are_not_found(
        self, service, column, factories, acting_as, clock
    ):
        (task,) = column("a").values()
        stranger = acting_as(factories.User(role=Role.MANAGER))

        for task_id in (task.id, factories.Task(deleted_at=clock()).id):
            with pytest.raises(NotFoundError):
                service.move(stranger, task_id, {"status": DONE})


def named(move, tasks):
    return {side: None if title is None else tasks[title].id for side, title in move.items()}


def narrow(session, tasks):
    """Leave no room between the first tasks."""
    for number, task in enumerate(tasks.values()):
        session.execute(
            text("UPDATE tasks SET position = :position WHERE id = :id"),
            {"id": task.id, "position": 1 + min(number, 3) * 2.0**-52 + max(number - 3, 0)},
        )


def versions_of(session):
    return dict(session.execute(select(Task.id, Task.version)).all())


@pytest.fixture
def service(services):
    return services.task_order


@pytest.fixture
def column(factories, ops):
    """Make tasks of OPS with these titles, in this order."""

    def make(titles, **values):
        return {title: factories.Task(title=title, project_id=ops.id, **values) for title in titles}

    return make


@pytest.fixture
def titles(session, ops):
    """The titles of the tasks in a column of OPS, in order."""

    def read(status):
        statement = select(Task.title).where(Task.project_id == ops.id, Task.status == status)
        return "".join(session.scalars(statement.order_by(Task.position, Task.id)))

    return read
