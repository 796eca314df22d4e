"""PostgreSQL's plans for reads, handovers and jobs, in a database that is large enough to show which ones grow with it.

A read of a page must not scan a growing table, and must not read many more rows than it shows. Two reports count
everything and are not here: the flow reads the whole history, and the ages of the tasks of all projects every task.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from app.auth.actor import Actor
from app.database.engine import make_session_factory
from app.models.people.user import Role
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.queries.comments import CommentQuery
from app.queries.daily_log import NumberedLogQuery, TaskLogQuery
from app.queries.pages import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, MAX_TOTAL, Position, Shape, encode_cursor
from app.queries.tasks import SORT_NAMES, TaskQuery
from app.repositories.comments.export import CommentExportRepository
from app.repositories.comments.read import CommentViewRepository
from app.repositories.daily_log.days import TaskLogRepository
from app.repositories.daily_log.export import TaskLogExportRepository
from app.repositories.daily_log.numbered import NumberedLogRepository
from app.repositories.daily_log.reports import TaskLogReportRepository
from app.repositories.health.checks import HealthRepository
from app.repositories.projects import ProjectRepository
from app.repositories.reports import ReportRepository
from app.repositories.tasks.board import BoardRepository
from app.repositories.tasks.export import TaskExportRepository
from app.repositories.tasks.filters import FILTERS
from app.repositories.tasks.followers import FollowerRepository
from app.repositories.tasks.handover import HandoverRepository
from app.repositories.tasks.history import TaskHistoryRepository
from app.repositories.tasks.history_clock import HistoryClockRepository
from app.repositories.tasks.order import ColumnKey, OrderRepository, Place
from app.repositories.tasks.read import TaskListRepository
from app.repositories.tasks.recurring import RecurringTaskRepository
from app.repositories.tasks.tree import TaskTreeRepository
from app.repositories.tasks.write import TaskRepository
from app.repositories.views import SavedViewRepository
from tests.repositories.explained import explained
from tests.repositories.large_database import DAY_ROWS, NOW, large_database

TODAY, YESTERDAY = date(2026, 3, 11), date(2026, 3, 10)
ID = Shape.of(id="id")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# The tasks of the project with the id 50.
HUNDRED_TASKS = 100

ADMIN = Actor(1, "person-1", Role.ADMIN, frozenset())
# Members of one project: with two fifths of all tasks, and with a hundred.
MEMBER = Actor(2, "person-2", Role.USER, frozenset({7}))
NEWCOMER = Actor(3, "person-3", Role.USER, frozenset({50}))
ACTORS = [pytest.param(ADMIN, id="admin"), pytest.param(MEMBER, id="member"), pytest.param(NEWCOMER, id="newcomer")]
# The history and the log have no index by project. Somebody with few tasks makes PostgreSQL read much of them.
ACTORS_WITH_MANY_TASKS = ACTORS[:2]


def days_from_now(count):
    return NOW + timedelta(days=count)


def some_cursor(query):
    """For somebody who does not see the task."""
    return encode_cursor(query.sort, Position("2026-01-01 00:00:00+00", 1))


FILTERED = {
    "status": TaskQuery(statuses=(TaskStatus.BLOCKED,)),
    "statuses": TaskQuery(statuses=(TaskStatus.TODO, TaskStatus.BLOCKED)),
    "priorities": TaskQuery(priorities=(TaskPriority.HIGH,)),
    "project": TaskQuery(projects=("P3",)),
    "large project": TaskQuery(projects=("P7",)),
    "small project": TaskQuery(projects=("P50",)),
    "projects": TaskQuery(projects=("P7", "P50")),
    "hidden_projects": TaskQuery(hidden_project_ids=(3, 9)),
    "archived_projects": TaskQuery(archived_project_ids=(7, 50)),
    "no archived projects": TaskQuery(archived_project_ids=()),
    "refs": TaskQuery(refs=("P7-300",)),
    "former refs": TaskQuery(refs=("P3-1000300", "P3-1000310")),
    "several refs": TaskQuery(refs=("P7-300", "P7-1", "P50-1000", "NONE-1")),
    "external_ref": TaskQuery(external_ref="JIRA-500"),
    "assignee_none": TaskQuery(assignee="none"),
    "assignee_id": TaskQuery(assignee="17"),
    "assignee_username": TaskQuery(assignee="person-17"),
    "creator_none": TaskQuery(creator="none"),
    "creator_id": TaskQuery(creator="17"),
    "creator_username": TaskQuery(creator="person-17"),
    "labels": TaskQuery(labels=("label-7",)),
    "rare label": TaskQuery(labels=("rare",)),
    "q": TaskQuery(q='"word77"'),
    "beginning of a rare word": TaskQuery(q="abcd"),
    "beginning of a usual word": TaskQuery(q="word771"),
    "parent_none": TaskQuery(parent="none"),
    "parent_id": TaskQuery(parent=6),
    "parent_ref": TaskQuery(parent="P7-6"),
    "due_after": TaskQuery(due_after=days_from_now(50)),
    "due_before": TaskQuery(due_before=days_from_now(-50)),
    "created_after": TaskQuery(created_after=days_from_now(-1)),
    "created_before": TaskQuery(created_before=days_from_now(-362)),
    "started_after": TaskQuery(started_after=days_from_now(-1)),
    "started_before": TaskQuery(started_before=days_from_now(-362)),
    "completed_after": TaskQuery(completed_after=days_from_now(-1)),
    "completed_before": TaskQuery(completed_before=days_from_now(-362)),
    "overdue": TaskQuery(overdue=True),
    "not_overdue": TaskQuery(overdue=False),
    "updated_since": TaskQuery(updated_since=days_from_now(-1)),
    "deleted": TaskQuery(deleted=True),
}

# These belong to lists as of an instant.
FILTERS_OF_THE_PAST = {"hidden_then", "archived_then"}

# PostgreSQL does not know that the tasks created first are also those that were changed longest ago: docs/adr/016.
UNFORESEEN = {"created_before"}
# Those of task 300, which has the most, and a few that other tasks have on the same pages of the table.
COMMENTS_OF_A_TASK = 1_010
# A sort by several keys reads every task that is equal in the first key to a task of the page: docs/adr/016.
SORTS_BY_SEVERAL_KEYS = [("priority", "-due_at"), ("priority", "due_at"), ("-due_at", "title", "status")]


class TestListOfTasks:
    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("name", FILTERED)
    def test_each_filter(self, session, plans, actor, name):
        with plans() as seen:
            TaskListRepository(session).list_page(actor, FILTERED[name], now=NOW)

        assert (seen.scans() if name in UNFORESEEN else seen.problems()) == []

    def test_every_filter_is_here(self):
        assert set(FILTERS) - FILTERS_OF_THE_PAST <= set(FILTERED)

    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("sort", SORT_NAMES)
    def test_each_sort_and_its_second_page(self, session, plans, actor, sort):
        tasks, query = TaskListRepository(session), TaskQuery(sort=(sort,))

        with plans() as seen:
            first = tasks.list_page(actor, query, now=NOW)
            tasks.list_page(actor, replace(query, cursor=first.next_cursor), now=NOW)

        assert len(seen) == 2
        assert seen.problems() == []

    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("sort", [("created_at", "title"), ("-position", "priority")])
    def test_several_keys_of_which_the_first_is_nearly_unique(self, session, plans, actor, sort):
        tasks, query = TaskListRepository(session), TaskQuery(sort=sort)

        with plans() as seen:
            first = tasks.list_page(actor, query, now=NOW)
            tasks.list_page(actor, replace(query, cursor=first.next_cursor), now=NOW)

        assert len(seen) == 2
        assert seen.problems() == []

    @pytest.mark.parametrize("sort", SORTS_BY_SEVERAL_KEYS)
    def test_several_keys_of_a_person_or_of_a_small_project(self, session, plans, sort):
        with plans() as seen:
            for query in (TaskQuery(assignee="17", sort=sort), TaskQuery(projects=("P50",), sort=sort)):
                TaskListRepository(session).list_page(ADMIN, query, now=NOW)

        assert seen.scans() == []

    @pytest.mark.parametrize("sort", SORTS_BY_SEVERAL_KEYS)
    def test_a_sort_by_several_keys_is_still_an_exception(self, session, plans, sort):
        with plans() as seen:
            TaskListRepository(session).list_page(ADMIN, TaskQuery(sort=sort), now=NOW)

        assert seen.problems() != []

    @pytest.mark.parametrize("sort", SORT_NAMES)
    def test_each_sort_of_a_project_of_a_hundred_tasks(self, session, plans, sort):
        with plans() as seen:
            TaskListRepository(session).list_page(ADMIN, TaskQuery(projects=("P50",), sort=(sort,)), now=NOW)

        assert seen.problems() == []

    def test_open_tasks_of_a_person_by_deadline(self, session, plans):
        query = TaskQuery(assignee="17", statuses=(TaskStatus.IN_PROGRESS, TaskStatus.BLOCKED), sort=("due_at",))

        with plans() as seen:
            TaskListRepository(session).list_page(ADMIN, query, now=NOW)

        # About half of the person's tasks are open.
        assert seen.problems(4 * query.limit) == []

    @pytest.mark.parametrize("actor", ACTORS_WITH_MANY_TASKS)
    def test_as_of_an_instant(self, session, plans, actor):
        tasks, query = TaskListRepository(session), TaskQuery(as_of=days_from_now(-1))

        with plans() as seen:
            first = tasks.list_page(actor, query, now=NOW)
            tasks.list_page(actor, replace(query, cursor=first.next_cursor), now=NOW)

        assert seen.problems() == []

    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("parent", [6, "P7-6"])
    def test_the_subtasks_that_a_task_had_at_an_instant(self, session, plans, actor, parent):
        with plans() as seen:
            TaskListRepository(session).list_page(actor, TaskQuery(as_of=days_from_now(-1), parent=parent), now=NOW)

        assert seen.problems() == []

    @pytest.mark.parametrize("actor", ACTORS)
    def test_export_and_active_tasks(self, session, plans, actor):
        with plans() as seen:
            TaskExportRepository(session).list_page(actor, TaskQuery(), now=NOW, after_id=500, limit=100)
            TaskRepository(session).list_active(actor, ID, after_id=500, limit=100)

        assert seen.problems() == []


class TestViews:
    @pytest.mark.parametrize("actor", ACTORS)
    def test_lists_and_single_views(self, session, plans, actor):
        views = SavedViewRepository(session)

        with plans() as seen:
            first = views.list_page(actor, cursor=None, limit=50)
            views.list_page(actor, cursor=first.next_cursor, limit=50)
            views.list_pinned(actor, cursor=None, limit=50)
            views.get_row(actor, 700)
            views.find_query(actor, 700)
            views.count_of(actor.user_id)

        assert len(seen) == 6
        assert seen.problems() == []


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
        column = ColumnKey(7, TaskStatus.TODO)
        places = [Place(column), Place(column, is_end=True), Place(column, 500), Place(column, "P7-300")]

        with plans() as seen:
            OrderRepository(session).list_surroundings(places, moving=[1], count=8)

        assert seen.problems(len(places) * 20) == []


class TestSingleTask:
    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("key", [300, "P7-300", "P3-1000300"])
    def test_task_and_history(self, session, plans, actor, key):
        tasks, history = TaskRepository(session), TaskHistoryRepository(session)

        with plans() as seen:
            tasks.get_view(actor, key, include_deleted=False)
            tasks.get_for_update(actor, key)
            history.find_visible(actor, key, include_deleted=True)
            history.list_versions(actor, 300, before_revision=3, limit=50)

        assert len(seen) == 4
        assert seen.problems() == []


class TestComments:
    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("key", [300, "P7-300"])
    def test_a_page_and_the_next_read_little_more_than_they_show(self, session, plans, actor, key):
        comments, query = CommentViewRepository(session), CommentQuery()

        with plans() as seen:
            first = comments.list_page(actor, key, query)
            comments.list_page(actor, key, replace(query, cursor=first.next_cursor or some_cursor(query)))

        assert len(seen) == 2
        assert seen.problems(2 * DEFAULT_PAGE_SIZE) == []

    @pytest.mark.parametrize(
        ("query", "most_rows"),
        [
            (CommentQuery(sort="-created_at"), 2 * DEFAULT_PAGE_SIZE),
            (CommentQuery(as_of=days_from_now(-100)), 2 * DEFAULT_PAGE_SIZE),
            (CommentQuery(as_of=days_from_now(-100), sort="-created_at"), 2 * DEFAULT_PAGE_SIZE),
            (CommentQuery(deleted=True), COMMENTS_OF_A_TASK),
        ],
    )
    def test_other_lists_do_too_except_for_that_of_deleted_ones(self, session, plans, query, most_rows):
        with plans() as seen:
            CommentViewRepository(session).list_page(ADMIN, 300, query)

        assert seen.problems(most_rows) == []

    def test_one_comment_and_its_versions(self, session, plans):
        comments = CommentViewRepository(session)

        with plans() as seen:
            comments.has_task(MEMBER, 300)
            comments.get_view(MEMBER, 300, 20)
            comments.list_versions(20, before_version=None, limit=50)

        assert len(seen) == 3
        assert seen.problems(10) == []

    @pytest.mark.parametrize("actor", ACTORS_WITH_MANY_TASKS)
    @pytest.mark.parametrize("projects", [(), ("P7",)])
    def test_a_slice_of_the_export(self, session, plans, actor, projects):
        """Comments have no index by project. For a small one, PostgreSQL reads them all, in one slice."""
        with plans() as seen:
            CommentExportRepository(session).list_page(actor, projects=projects, after_id=500, limit=100)

        assert seen.scans() == []

    def test_the_followers_of_a_task(self, session, plans):
        with plans() as seen:
            FollowerRepository(session).list_page(300, cursor=None, limit=50)

        assert seen.problems(50) == []

    @pytest.mark.parametrize("sort", ["-updated_at", "title"])
    def test_an_instant_counts_only_the_comments_of_the_tasks_on_the_page(self, session, sort):
        session.execute(text("SET LOCAL track_functions = 'all'"))
        calls = text("SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'comment_count_at'")
        before = session.scalar(calls) or 0

        TaskListRepository(session).list_page(ADMIN, TaskQuery(as_of=days_from_now(-1), sort=(sort,)), now=NOW)

        assert session.scalar(calls) - before == 51


class TestHandover:
    def test_the_tasks_of_a_person_are_found_by_an_index(self, session, plans):
        handover = HandoverRepository(session)

        with plans() as seen:
            handover.merge(17, 18, at=NOW)
            handover.reassign(ADMIN, 17, 18, project_id=None, only_active=False, at=NOW)

        assert len(seen) == 4
        assert seen.scans() == []


# Without filters by project or assignee, for which the log has no index: they read as many days as it takes.
LOGGED = {
    "all": TaskLogQuery(),
    "on": TaskLogQuery(on=YESTERDAY),
    "since": TaskLogQuery(since=YESTERDAY),
    "until": TaskLogQuery(until=YESTERDAY),
    "task": TaskLogQuery(task_id=500),
    "status": TaskLogQuery(status=TaskStatus.TODO),
    "project on a day": TaskLogQuery(project="P7", on=YESTERDAY),
    "assignee on a day": TaskLogQuery(assignee="person-17", on=YESTERDAY),
}
FILTERED_FILES = {
    **{name: LOGGED[name] for name in ("all", "task", "status")},
    "project": TaskLogQuery(project="P7"),
    "assignee": TaskLogQuery(assignee="person-17"),
}


class TestDailyLog:
    @pytest.mark.parametrize("actor", ACTORS_WITH_MANY_TASKS)
    @pytest.mark.parametrize("name", LOGGED)
    def test_each_filter(self, session, plans, actor, name):
        logs, query = TaskLogRepository(session), LOGGED[name]

        with plans() as seen:
            first = logs.list_page(actor, query)
            logs.list_page(actor, replace(query, cursor=first.next_cursor))

        assert len(seen) == 2
        # The log has no index for these, so a page reads the day.
        assert (seen.problems(DAY_ROWS) if name.endswith("on a day") else seen.problems()) == []

    @pytest.mark.parametrize("actor", ACTORS_WITH_MANY_TASKS)
    @pytest.mark.parametrize("name", FILTERED_FILES)
    def test_a_slice_of_a_file_reads_its_rows(self, session, plans, actor, name):
        exports, query = TaskLogExportRepository(session), FILTERED_FILES[name]

        with plans() as seen:
            last_id = exports.last_of_slice(YESTERDAY, after_id=0, limit=100, task_id=query.task_id)
            exports.list_rows(actor, query, YESTERDAY, after_id=0, last_id=last_id)

        assert (last_id is None) is (query.task_id is not None)
        assert seen.problems(100) == []

    @pytest.mark.parametrize("actor", ACTORS)
    def test_a_slice_of_two_days_reads_a_part_of_them(self, session, plans, actor):
        exports = TaskLogExportRepository(session)

        with plans() as seen:
            last_id = exports.last_of_slice(YESTERDAY, TODAY, after_id=0, limit=100)
            exports.list_differences(actor, YESTERDAY, TODAY, project=None, after_id=0, last_id=last_id)

        assert last_id is not None
        assert seen.problems(200) == []

    @pytest.mark.parametrize("actor", ACTORS_WITH_MANY_TASKS)
    @pytest.mark.parametrize("on", [None, YESTERDAY])
    def test_numbered_pages(self, session, plans, actor, on):
        with plans() as seen:
            NumberedLogRepository(session).list_page(actor, NumberedLogQuery(page=2, per_page=50, on=on), ID)

        assert seen.problems() == []

    def test_the_count_of_all_rows(self, session, plans):
        with plans() as seen:
            NumberedLogRepository(session).count(ADMIN, on=None)

        assert seen.problems() == []

    @pytest.mark.parametrize("actor", ACTORS_WITH_MANY_TASKS)
    def test_a_row_by_its_id(self, session, plans, actor):
        with plans() as seen:
            TaskLogRepository(session).get_row(actor, 500)
            NumberedLogRepository(session).get_row(actor, 500, ID)

        assert seen.problems() == []


class TestReports:
    @pytest.mark.parametrize("actor", ACTORS)
    def test_cycle_times_of_a_week(self, session, plans, actor):
        with plans() as seen:
            ReportRepository(session).list_cycle_times(actor, None, start=days_from_now(-7), end=NOW, zone="UTC")

        assert seen.scans() == []

    def test_counts_of_a_project_of_a_hundred_tasks(self, session, plans):
        with plans() as seen:
            ReportRepository(session).count_by_age(ADMIN, "P50", days=[1, 7], now=NOW)

        assert seen.scans() == []

    @pytest.mark.parametrize("actor", ACTORS)
    def test_days_of_the_log_read_only_those_days(self, session, plans, actor):
        reports = TaskLogReportRepository(session)

        with plans() as seen:
            reports.list_differences(actor, YESTERDAY, TODAY, project=None, cursor=None, limit=50)
            reports.list_days(TaskLogQuery())
            reports.count_of_day(actor, TaskLogQuery(on=YESTERDAY))

        assert seen.scans() == []


class TestJobs:
    def test_finding_due_days(self, session, plans):
        with plans() as seen:
            HistoryClockRepository(session).find_beginning()
            TaskLogRepository(session).list_closed_days(since=YESTERDAY)
            TaskLogRepository(session).has_rows(YESTERDAY)
            HealthRepository(session).count_overdue_days("UTC", after=timedelta(hours=1))

        assert len(seen) == 4
        assert seen.problems() == []

    def test_finding_a_task_that_is_due_to_recur(self, session, plans):
        with plans() as seen:
            RecurringTaskRepository(session).lock_next_due(now=NOW)
            TaskTreeRepository(session).lock_below(6)

        assert len(seen) == 2
        assert seen.problems() == []

    @pytest.mark.parametrize("actor", [ADMIN, MEMBER], ids=["admin", "member"])
    def test_locking_many_tasks_by_ids_present_and_former_refs(self, session, plans, actor):
        keys = [*range(1, 200), *(f"P7-{n}" for n in range(1, 150)), *(f"P3-{1_000_000 + n}" for n in range(10, 1500))]

        with plans() as seen:
            TaskRepository(session).list_for_update(actor, keys)

        assert len(seen) == 2
        assert seen.problems() == []

    def test_a_project_counts_its_tasks_up_to_a_bound(self, session, plans):
        with plans() as seen:
            view = ProjectRepository(session).get_view(7)

        assert min(view.task_counts) > 5_000
        assert len(seen) == 1
        assert seen.problems(most_rows=MAX_TOTAL + 1) == []

    def test_the_trees_of_many_tasks(self, session, plans):
        with plans() as seen:
            rows = TaskTreeRepository(session).list_around(range(2000, 2500), range(2400, 2600), locking=[1, 7])

        assert len(rows) > 600
        assert len(seen) == 1
        assert seen.problems() == []

    def test_logging_a_day_reads_every_task_but_not_the_whole_history(self, session, plans):
        with plans() as seen:
            TaskLogRepository(session).write_day(date(2026, 3, 12), instant=NOW, is_first=True)

        assert seen.scans() == ["scan of tasks"]


@pytest.fixture
def plans(session):
    """The plans of the statements that the repositories send in a block."""
    return lambda: explained(session.connection())


@pytest.fixture
def session(large):
    with make_session_factory(large)() as session:
        yield session


@pytest.fixture(scope="module")
def large(postgres_url):
    with large_database(postgres_url) as engine:
        yield engine
