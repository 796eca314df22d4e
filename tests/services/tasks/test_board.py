"""The board: columns of tasks, their counts, and the board of an earlier time."""

from datetime import timedelta

import pytest

from app.errors import InvalidError
from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.queries.tasks import Selection, TaskQuery

TODO, BLOCKED, DONE = TaskStatus.TODO, TaskStatus.BLOCKED, TaskStatus.DONE
OPS = TaskQuery(projects=("OPS",))


class TestColumns:
    def test_hold_the_tasks_of_a_status_by_position(self, board, boss, factories, ops):
        for title, status, position in [("c", TODO, 3), ("a", TODO, 1), ("b", TODO, 2), ("x", DONE, 1)]:
            factories.Task(title=title, status=status, position=float(position), project_id=ops.id)

        assert board(boss, OPS) == {"todo": "abc", "in_progress": "", "blocked": "", "done": "x", "cancelled": ""}

    def test_stand_in_the_order_of_the_statuses(self, services, boss, ops):
        columns, _ = services.board.open(boss, OPS)

        assert [column.status for column in columns] == list(TaskStatus)

    def test_can_be_selected(self, board, boss, ops):
        assert list(board(boss, TaskQuery(projects=("OPS",), statuses=(DONE, TODO)))) == ["todo", "done"]

    def test_count_all_of_their_tasks_and_show_the_first(self, services, boss, factories, ops):
        for _ in range(4):
            factories.Task(project_id=ops.id)

        (todo, *others), _ = services.board.open(boss, TaskQuery(projects=("OPS",), limit=3))

        assert (len(todo.page.items), todo.page.total.count, todo.page.total.is_capped) == (3, 4, False)
        assert [column.page.total.count for column in others] == [0, 0, 0, 0]
        assert [column.page.next_cursor for column in others] == [None] * 4

    def test_continue_as_lists(self, services, boss, factories, ops):
        tasks = [factories.Task(project_id=ops.id, position=1.0) for _ in range(5)]
        (todo, *_), _ = services.board.open(boss, TaskQuery(projects=("OPS",), limit=3))
        following = TaskQuery(
            projects=("OPS",), statuses=(TODO,), sort=("position",), cursor=todo.page.next_cursor, limit=3
        )

        page, _ = services.task_views.list_page(boss, following)

        assert [item["id"] for item in (*todo.page.items, *page.items)] == [task.id for task in tasks]

    def test_of_several_projects_stand_together(self, board, boss, factories, ops):
        web = factories.Project(key="WEB")
        for title, project_id, position in [("b", ops.id, 2), ("a", web.id, 1), ("c", web.id, 3)]:
            factories.Task(title=title, project_id=project_id, position=float(position))

        assert board(boss, TaskQuery(projects=("OPS", "WEB")))["todo"] == "abc"
        assert board(boss, TaskQuery())["todo"] == "abc"

    def test_leave_out_deleted_tasks(self, board, boss, factories, ops, clock):
        factories.Task(project_id=ops.id, deleted_at=clock())

        assert board(boss, OPS)["todo"] == ""

    def test_heed_filters_and_the_selection_of_fields(self, services, boss, factories, ops):
        found = factories.Task(project_id=ops.id, labels=["red"])
        factories.Task(project_id=ops.id)

        query = TaskQuery(projects=("OPS",), labels=("red",), selection=Selection(("id", "project"), ("project",)))
        (todo, *_), _ = services.board.open(boss, query)

        assert todo.page.items == [{"id": found.id, "project": {"key": "OPS", "name": "Project OPS"}}]
        assert todo.page.total.count == 1


class TestVisibility:
    def test_a_stranger_sees_nothing_of_a_project(self, board, factories, acting_as, ops):
        factories.Task(project_id=ops.id)
        stranger = acting_as(factories.User(role=Role.MANAGER))

        assert "".join(board(stranger, OPS).values()) == ""
        assert "".join(board(stranger, TaskQuery()).values()) == ""

    def test_a_member_sees_the_tasks_of_all_their_projects(self, board, factories, member, ops):
        factories.Task(title="a", project_id=ops.id, position=1.0)
        factories.Task(title="b", position=2.0)
        factories.Task(title="c", project_id=factories.Project().id)

        assert board(member("mia", Role.VIEWER), TaskQuery())["todo"] == "ab"


class TestCache:
    def test_the_second_board_comes_from_the_cache_until_a_task_changes(self, services, boss, factories, ops):
        task = factories.Task(project_id=ops.id)

        answers = [services.board.open(boss, OPS) for _ in range(2)]
        services.task_order.move(boss, task.id, {"status": DONE})
        changed, was_cached = services.board.open(boss, OPS)

        assert [was_cached for _, was_cached in answers] == [False, True]
        assert answers[0][0] == answers[1][0]
        assert (was_cached, [column.page.total.count for column in changed]) == (False, [0, 0, 0, 1, 0])

    def test_is_not_shared_between_people_who_see_different_tasks(self, board, boss, member, factories, ops):
        factories.Task(title="a", project_id=factories.Project().id)

        assert board(boss, TaskQuery())["todo"] == "a"
        assert board(member("mia", Role.USER), TaskQuery())["todo"] == ""


class TestAsOf:
    def test_the_tasks_stand_in_the_columns_of_that_time(self, services, board, boss, clock, factories, ops):
        clock.advance(hours=1)
        first = services.tasks.create(boss, {"title": "a", "project": "OPS"})
        services.tasks.create(boss, {"title": "b", "project": "OPS", "status": BLOCKED})
        clock.advance(hours=1)
        then = clock()
        clock.advance(hours=1)
        services.task_order.move(boss, first.id, {"status": DONE})
        services.tasks.create(boss, {"title": "c", "project": "OPS"})

        assert board(boss, OPS) == {"todo": "c", "in_progress": "", "blocked": "b", "done": "a", "cancelled": ""}
        past = TaskQuery(projects=("OPS",), as_of=then)
        assert board(boss, past) == {"todo": "a", "in_progress": "", "blocked": "b", "done": "", "cancelled": ""}

    def test_a_past_column_counts_and_continues_too(self, services, boss, clock, factories, ops):
        for title in "abcd":
            services.tasks.create(boss, {"title": title, "project": "OPS"})
        clock.advance(hours=1)
        past = {"projects": ("OPS",), "as_of": clock(), "limit": 3}
        clock.advance(hours=1)

        (todo, *_), _ = services.board.open(boss, TaskQuery(**past))
        following = TaskQuery(**past, statuses=(TODO,), sort=("position",), cursor=todo.page.next_cursor)
        page, _ = services.task_views.list_page(boss, following)

        assert todo.page.total.count == 4
        assert [item["title"] for item in (*todo.page.items, *page.items)] == list("abcd")

    def test_the_future_is_refused(self, services, boss, clock):
        with pytest.raises(InvalidError, match="as_of: is in the future"):
            services.board.open(boss, TaskQuery(as_of=clock() + timedelta(hours=1)))


@pytest.fixture
def board(services):
    """The titles in each column."""

    def read(actor, query):
        columns, _ = services.board.open(actor, query)
        return {column.status.value: "".join(item["title"] for item in column.page.items) for column in columns}

    return read
