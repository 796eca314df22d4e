"""PostgreSQL's plans for the board and for the neighbours of a place on it."""

from dataclasses import replace

import pytest

from app.database.engine import PLANNED
from app.models.tasks.fields import TaskStatus
from app.queries.pages import MAX_PAGE_SIZE, MAX_TOTAL
from app.queries.tasks import TaskQuery
from app.repositories.tasks.board import BoardRepository
from app.repositories.tasks.order import ColumnKey, OrderRepository, Place
from app.repositories.tasks.read import TaskListRepository
from tests.repositories.plans.large_database import NOW
from tests.repositories.plans.readers import ACTORS, ADMIN, HUNDRED_TASKS, LONG_AGO, MEMBER, NEWCOMER

COLUMN = ColumnKey(7, TaskStatus.TODO)
PLACES = [Place(COLUMN), Place(COLUMN, is_end=True), Place(COLUMN, 500), Place(COLUMN, "P7-300")]


class TestBoard:
    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("projects", [(), ("P7",), ("P50",), ("P7", "P50")])
    def test_reads_its_first_tasks_and_counts_up_to_a_limit(self, session, plans, actor, projects):
        query = TaskQuery(projects=projects, sort=("position",))

        with plans() as seen:
            columns = BoardRepository(session).list_columns(actor, query, now=NOW)

        assert len(columns) == len(TaskStatus)
        assert len(seen) == (2 if projects else 1)
        assert seen.problems(len(TaskStatus) * (MAX_TOTAL + 1)) == []

    def test_of_a_small_project_does_not_read_the_tasks_of_others(self, session, plans):
        with plans() as seen:
            for actor, projects in ((ADMIN, ("P50",)), (NEWCOMER, ())):
                BoardRepository(session).list_columns(actor, TaskQuery(projects=projects), now=NOW)

        assert seen.problems(4 * HUNDRED_TASKS) == []

    def test_the_next_tasks_of_a_column(self, session, plans):
        (column, *_) = BoardRepository(session).list_columns(ADMIN, TaskQuery(projects=("P7",)), now=NOW)
        query = TaskQuery(
            projects=("P7",), statuses=(column.status,), sort=("position",), cursor=column.page.next_cursor
        )

        with plans() as seen:
            TaskListRepository(session).list_page(ADMIN, query, now=NOW)

        assert seen.problems() == []

    @pytest.mark.parametrize(
        "query",
        [TaskQuery(assignee="17"), TaskQuery(labels=("rare",)), TaskQuery(projects=("P7",), q='"word77"')],
        ids=["assignee", "label", "words"],
    )
    def test_with_a_filter_that_few_tasks_pass(self, session, plans, query):
        with plans() as seen:
            BoardRepository(session).list_columns(ADMIN, query, now=NOW)

        assert seen.scans() == []

    def test_with_a_filter_reads_each_task_of_a_small_board_once_to_choose_it_and_once_to_show_it(self, session, plans):
        query = TaskQuery(projects=("P50",), updated_since=LONG_AGO, limit=MAX_PAGE_SIZE)

        with plans() as seen:
            columns = BoardRepository(session).list_columns(ADMIN, query, now=NOW)

        assert sum(column.page.total.count for column in columns) == HUNDRED_TASKS
        assert seen.rows_of("tasks") == 2 * HUNDRED_TASKS

    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("projects", [(), ("P3",), ("P7",), ("P7", "P50")])
    def test_is_the_same_with_a_filter_that_every_task_passes(self, session, actor, projects):
        """A filtered board is read at once if it has few tasks, and otherwise column by column."""
        query, board = TaskQuery(projects=projects), BoardRepository(session)

        every = board.list_columns(actor, query, now=NOW)

        assert board.list_columns(actor, replace(query, updated_since=LONG_AGO), now=NOW) == every

    def test_the_neighbours_of_a_place_are_read_by_the_index(self, session, plans):
        with plans() as seen:
            OrderRepository(session).list_surroundings(PLACES, moving=[1], count=8)

        assert seen.problems(len(PLACES) * 20) == []

    @pytest.mark.parametrize("place", PLACES)
    def test_a_plan_for_every_move_reads_no_more(self, session, plans, planned_once, place):
        order = OrderRepository(session)

        with plans() as seen:
            order.lock_columns(MEMBER, [(place.edge or 300, TaskStatus.TODO)])
            order.list_surroundings([place], moving=[1], count=1)

        assert len(seen) == 2
        assert seen.problems(20) == []


@pytest.fixture
def planned_once(session):
    """Statements that are planned once have the plan that PostgreSQL keeps for all values."""
    connection = session.connection()
    connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
    connection.info[PLANNED] = set()
    yield
    del connection.info[PLANNED]
    connection.exec_driver_sql("DEALLOCATE ALL")
