"""PostgreSQL's plans for reads and jobs, in a database that is large enough to show which ones grow with it.

A read of a page must not scan a growing table, and must not read many more rows than it shows. Two reports count
everything and are not here: the flow reads the whole history, and the ages of the tasks of all projects every task.
"""

import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import create_engine, event, text

from app.auth.actor import Actor
from app.database.engine import make_session_factory
from app.models.people.user import Role
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.queries.daily_log import NumberedLogQuery, TaskLogQuery
from app.queries.pages import MAX_PAGE_SIZE
from app.queries.tasks import SORT_NAMES, TaskQuery
from app.repositories.daily_log.days import TaskLogRepository
from app.repositories.daily_log.numbered import NumberedLogRepository
from app.repositories.daily_log.reports import TaskLogReportRepository
from app.repositories.health.checks import HealthRepository
from app.repositories.reports import ReportRepository
from app.repositories.tasks.export import TaskExportRepository
from app.repositories.tasks.filters import FILTERS
from app.repositories.tasks.history import TaskHistoryRepository
from app.repositories.tasks.history_clock import HistoryClockRepository
from app.repositories.tasks.read import TaskListRepository
from app.repositories.tasks.write import TaskRepository
from tests import servers

NOW = datetime(2026, 3, 11, 12, tzinfo=UTC)
TODAY, YESTERDAY = date(2026, 3, 11), date(2026, 3, 10)
TASKS = 100_000
GROWING = re.compile(r"tasks|task_history|task_logs(_\d{4}_\d{2})?")
# A page may read as many rows of growing tables as this, whether it shows or sorts them or leaves them out.
FEW_PAGES = 15 * MAX_PAGE_SIZE
# The rows of each day of the log.
DAY_ROWS = 5_000

ADMIN = Actor(1, "person-1", Role.ADMIN, frozenset())
# Members of one project: with two fifths of all tasks, and with a hundred.
MEMBER = Actor(2, "person-2", Role.USER, frozenset({7}))
NEWCOMER = Actor(3, "person-3", Role.USER, frozenset({50}))
ACTORS = [pytest.param(ADMIN, id="admin"), pytest.param(MEMBER, id="member"), pytest.param(NEWCOMER, id="newcomer")]
# The history and the log have no index by project. Somebody with few tasks makes PostgreSQL read much of them.
ACTORS_WITH_MANY_TASKS = ACTORS[:2]


def days_from_now(count):
    return NOW + timedelta(days=count)


FILTERED = {
    "statuses": TaskQuery(statuses=(TaskStatus.TODO, TaskStatus.BLOCKED)),
    "priorities": TaskQuery(priorities=(TaskPriority.HIGH,)),
    "project": TaskQuery(projects=("P3",)),
    "large project": TaskQuery(projects=("P7",)),
    "small project": TaskQuery(projects=("P50",)),
    "projects": TaskQuery(projects=("P7", "P50")),
    "assignee_none": TaskQuery(assignee="none"),
    "assignee_id": TaskQuery(assignee="17"),
    "assignee_username": TaskQuery(assignee="person-17"),
    "creator_none": TaskQuery(creator="none"),
    "creator_id": TaskQuery(creator="17"),
    "creator_username": TaskQuery(creator="person-17"),
    "labels": TaskQuery(labels=("label-7",)),
    "rare label": TaskQuery(labels=("rare",)),
    "q": TaskQuery(q="word77"),
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

# PostgreSQL does not know that the tasks created first are also those that were changed longest ago: docs/adr/016.
UNFORESEEN = {"created_before"}
# docs/adr/016 says why these sorts read every task.
SORTS_WITHOUT_AN_INDEX = {"title", "-title"}
INDEXED_SORTS = [name for name in SORT_NAMES if name not in SORTS_WITHOUT_AN_INDEX]


class TestListOfTasks:
    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("name", FILTERED)
    def test_each_filter(self, session, plans, actor, name):
        with plans() as seen:
            TaskListRepository(session).list_page(actor, FILTERED[name], now=NOW)

        assert (seen.scans() if name in UNFORESEEN else seen.problems()) == []

    def test_every_filter_is_here(self):
        assert set(FILTERS) <= set(FILTERED)

    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("sort", INDEXED_SORTS)
    def test_each_sort_and_its_second_page(self, session, plans, actor, sort):
        tasks, query = TaskListRepository(session), TaskQuery(sort=sort)

        with plans() as seen:
            first = tasks.list_page(actor, query, now=NOW)
            tasks.list_page(actor, replace(query, cursor=first.next_cursor), now=NOW)

        assert len(seen) == 2
        assert seen.problems() == []

    @pytest.mark.parametrize("sort", sorted(SORTS_WITHOUT_AN_INDEX))
    def test_a_sort_without_an_index_is_still_an_exception(self, session, plans, sort):
        with plans() as seen:
            TaskListRepository(session).list_page(ADMIN, TaskQuery(sort=sort), now=NOW)

        assert seen.scans() == ["scan of tasks"]

    @pytest.mark.parametrize("sort", SORT_NAMES)
    def test_each_sort_of_a_project_of_a_hundred_tasks(self, session, plans, sort):
        with plans() as seen:
            TaskListRepository(session).list_page(ADMIN, TaskQuery(projects=("P50",), sort=sort), now=NOW)

        assert seen.problems() == []

    def test_open_tasks_of_a_person_by_deadline(self, session, plans):
        query = TaskQuery(assignee="17", statuses=(TaskStatus.TODO, TaskStatus.IN_PROGRESS), sort="due_at")

        with plans() as seen:
            TaskListRepository(session).list_page(ADMIN, query, now=NOW)

        assert seen.problems() == []

    @pytest.mark.parametrize("actor", ACTORS_WITH_MANY_TASKS)
    def test_as_of_an_instant(self, session, plans, actor):
        tasks, query = TaskListRepository(session), TaskQuery(as_of=days_from_now(-1))

        with plans() as seen:
            first = tasks.list_page(actor, query, now=NOW)
            tasks.list_page(actor, replace(query, cursor=first.next_cursor), now=NOW)

        assert seen.problems() == []

    @pytest.mark.parametrize("actor", ACTORS)
    def test_export_and_active_tasks(self, session, plans, actor):
        with plans() as seen:
            TaskExportRepository(session).list_page(actor, TaskQuery(), now=NOW, after_id=500, limit=100)
            TaskRepository(session).list_active(actor, {"id": "id"}, after_id=500, limit=100)

        assert seen.problems() == []


class TestSingleTask:
    @pytest.mark.parametrize("actor", ACTORS)
    def test_task_and_history(self, session, plans, actor):
        tasks, history = TaskRepository(session), TaskHistoryRepository(session)

        with plans() as seen:
            tasks.get_view(actor, 500, include_deleted=False)
            tasks.get_for_update(actor, 500)
            history.is_visible(actor, 500, include_deleted=True)
            history.list_versions(actor, 500, before_revision=3, limit=50)

        assert len(seen) == 4
        assert seen.problems() == []


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
# Days are listed from the newest and a day's tasks from the first, which is no order of the key. So a page reads whole
# days: those that it shows, and one more.
LOG_PAGE_ROWS = 2 * DAY_ROWS


class TestDailyLog:
    @pytest.mark.parametrize("actor", ACTORS_WITH_MANY_TASKS)
    @pytest.mark.parametrize("name", LOGGED)
    def test_each_filter(self, session, plans, actor, name):
        logs, query = TaskLogRepository(session), LOGGED[name]

        with plans() as seen:
            first = logs.list_page(actor, query)
            logs.list_page(actor, replace(query, cursor=first.next_cursor))

        assert len(seen) == 2
        assert seen.problems(LOG_PAGE_ROWS) == []

    @pytest.mark.parametrize("actor", ACTORS_WITH_MANY_TASKS)
    @pytest.mark.parametrize("on", [None, YESTERDAY])
    def test_numbered_pages(self, session, plans, actor, on):
        with plans() as seen:
            NumberedLogRepository(session).list_page(actor, NumberedLogQuery(page=2, per_page=50, on=on), {"id": "id"})

        assert seen.problems(LOG_PAGE_ROWS) == []

    def test_the_count_of_all_rows(self, session, plans):
        with plans() as seen:
            NumberedLogRepository(session).count(ADMIN, on=None)

        assert seen.problems() == []

    @pytest.mark.parametrize("actor", ACTORS_WITH_MANY_TASKS)
    def test_a_row_by_its_id(self, session, plans, actor):
        with plans() as seen:
            TaskLogRepository(session).get_row(actor, 500)
            NumberedLogRepository(session).get_row(actor, 500, {"id": "id"})

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

    def test_logging_a_day_reads_every_task_but_not_the_whole_history(self, session, plans):
        with plans() as seen:
            TaskLogRepository(session).write_day(date(2026, 3, 12), instant=NOW, is_first=True)

        assert seen.scans() == ["scan of tasks"]


class Plans(list):
    """The plans of the statements of a block, with the numbers of rows for those that only read."""

    def problems(self, most_rows=FEW_PAGES):
        return [*self.scans(), *self._many_rows(most_rows)]

    def scans(self):
        """The growing tables that are read from beginning to end."""
        return [f"scan of {node['Relation Name']}" for node in self._readers() if node["Node Type"] == "Seq Scan"]

    def _many_rows(self, most_rows):
        counted = [(node["Relation Name"], rows_read(node)) for node in self._readers()]
        return [f"{count:,.0f} rows of {name}" for name, count in counted if count > most_rows]

    def _readers(self):
        each = (node for plan in self for node in nodes(plan))
        return [
            node for node in each if GROWING.fullmatch(node.get("Relation Name", "")) and "Scan" in node["Node Type"]
        ]


def rows_read(node):
    once = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return once * node["Actual Loops"]


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@pytest.fixture
def plans(session):
    """Explain each statement before it runs. The statements are those that the repositories send.

    EXPLAIN ANALYZE runs the statement, so it is only for reads.
    """
    connection = session.connection()

    @contextmanager
    def explain_all():
        seen = Plans()

        def explain(_connection, cursor, statement, parameters, _context, _executemany):
            if statement.startswith("SET"):
                return
            analyze = "" if "INSERT" in statement else "ANALYZE, TIMING OFF, "
            cursor.execute(f"EXPLAIN ({analyze}FORMAT JSON) {statement}", parameters)
            seen.append(cursor.fetchone()[0][0]["Plan"])

        event.listen(connection, "before_cursor_execute", explain)
        try:
            yield seen
        finally:
            event.remove(connection, "before_cursor_execute", explain)

    return explain_all


@pytest.fixture
def session(large):
    with make_session_factory(large)() as session:
        yield session


@pytest.fixture(scope="module")
def large(postgres_url):
    """An engine for a database with 100,000 tasks, two versions of every tenth, and twenty days of the log."""
    with servers.migrated_database(postgres_url) as url:
        engine = create_engine(url, connect_args={"options": "-c timezone=UTC"})
        with engine.begin() as connection:
            for statement in FILL:
                connection.execute(text(statement), {"now": NOW, "count": TASKS})
        yield engine
        engine.dispose()


VERSIONED = """project_id, number, title, description, status, priority, labels, creator_id, assignee_id, due_at,
    external_ref, position, created_at, started_at, completed_at, deleted_at, version"""
FILL = [
    """INSERT INTO users (username, role, is_active)
       SELECT 'person-' || n, 'user', false FROM generate_series(1, 200) AS n""",
    "INSERT INTO projects (key, name) SELECT 'P' || n, 'Project ' || n FROM generate_series(2, 50) AS n",
    # The triggers would take most of the time, and the indexes are built faster than they are filled row by row.
    "ALTER TABLE tasks DISABLE TRIGGER USER",
    """CREATE TEMPORARY TABLE dropped_indexes ON COMMIT DROP AS
       SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'tasks' AND indexname NOT LIKE 'pk_%'""",
    "DO $$ BEGIN EXECUTE (SELECT 'DROP INDEX ' || string_agg(indexname, ', ') FROM dropped_indexes); END $$",
    """INSERT INTO tasks (project_id, number, title, status, priority, labels, creator_id, assignee_id, due_at,
                          position, created_at, updated_at, revised_at, started_at, completed_at, deleted_at)
       SELECT CASE WHEN n % 1000 = 0 THEN 50
                   WHEN n % 1013 < 405 THEN 7
                   ELSE 1 + n % 1013 % 49 END, n, 'Task ' || md5(n::text) || ' word' || n % 997,
              (enum_range(NULL::task_status))[1 + n % 5], (enum_range(NULL::task_priority))[1 + n % 4],
              CASE WHEN n % 5000 = 1 THEN ARRAY['rare'] WHEN n % 4 = 0 THEN ARRAY['label-' || n % 101] ELSE '{}' END,
              1 + n % 200, CASE WHEN n % 5 > 0 THEN 1 + n / 5 % 200 END,
              CASE WHEN n % 3 = 0 THEN CAST(:now AS timestamptz) + (n % 1201 - 600) / 10.0 * interval '1 day' END, n,
              created_at, created_at + n % 89 * interval '1 hour', created_at,
              CASE WHEN n % 5 > 0 THEN created_at + interval '1 hour' END,
              CASE WHEN n % 5 > 2 THEN created_at + interval '2 hours' END, CASE WHEN n % 50 = 1 THEN created_at END
         FROM generate_series(1, :count) AS n,
              LATERAL (SELECT CAST(:now AS timestamptz) - (1 - n::float / :count) * interval '365 days')
                  AS t(created_at)""",
    "DO $$ BEGIN EXECUTE (SELECT string_agg(indexdef, ';') FROM dropped_indexes); END $$",
    "ALTER TABLE tasks ENABLE TRIGGER USER",
    f"""INSERT INTO task_history (task_id, revision, valid_from, {VERSIONED})
        SELECT id, revision, revised_at, {VERSIONED} FROM tasks""",
    f"""INSERT INTO task_history (task_id, revision, valid_from, valid_to, {VERSIONED})
        SELECT id, revision - 1, revised_at - interval '1 day', revised_at, {VERSIONED} FROM tasks WHERE id % 10 = 0
    """,
    "CREATE TABLE task_logs_2026_02 PARTITION OF task_logs FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
    "CREATE TABLE task_logs_2026_03 PARTITION OF task_logs FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')",
    """INSERT INTO task_logs (log_date, task_id, project_id, number, title, status, priority, assignee_id, due_at)
       SELECT day, id, project_id, number, title, status, priority, assignee_id, due_at
         FROM generate_series(date '2026-02-20', date '2026-03-11', interval '1 day') AS day, tasks
        WHERE completed_at IS NULL AND id % 12 = 0
        ORDER BY day, id""",
    """INSERT INTO log_runs (log_date, time_zone, started_at, finished_at, task_count, source, is_final)
       SELECT log_date, 'UTC', :now, :now, count(*), 'scheduled', true FROM task_logs GROUP BY log_date""",
    # A sample of every row, so that the plans are the same each time.
    "SET LOCAL default_statistics_target = 400",
    "ANALYZE tasks",
    "ANALYZE task_history",
    "ANALYZE task_logs",
    "ANALYZE projects",
    "ANALYZE users",
]
