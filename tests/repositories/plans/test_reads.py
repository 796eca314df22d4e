"""PostgreSQL's plans for reads, handovers and jobs, in a database that is large enough to show which ones grow with it.

A read of a page must not scan a growing table, and must not read many more rows than it shows. Two reports count
everything and are not here: the flow reads the whole history, and the ages of the tasks of all projects every task.
"""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from app.models.tasks.fields import TaskPriority, TaskStatus
from app.queries.daily_log import NumberedLogQuery, TaskLogQuery
from app.queries.pages import MAX_TOTAL, Shape
from app.queries.tasks import SORT_NAMES, TaskQuery
from app.repositories.daily_log.days import TaskLogRepository
from app.repositories.daily_log.export import TaskLogExportRepository
from app.repositories.daily_log.numbered import NumberedLogRepository
from app.repositories.daily_log.reports import TaskLogReportRepository
from app.repositories.health.checks import HealthRepository
from app.repositories.projects import ProjectRepository
from app.repositories.reports import ReportRepository
from app.repositories.tasks.export import TaskExportRepository
from app.repositories.tasks.filters import FILTERS
from app.repositories.tasks.handover import HandoverRepository
from app.repositories.tasks.history import TaskHistoryRepository
from app.repositories.tasks.history_clock import HistoryClockRepository
from app.repositories.tasks.read import TaskListRepository
from app.repositories.tasks.recurring import RecurringTaskRepository
from app.repositories.tasks.tree import TaskTreeRepository
from app.repositories.tasks.write import TaskRepository
from app.repositories.views import SavedViewRepository
from tests.repositories.plans.large_database import DAY_ROWS, NOW
from tests.repositories.plans.readers import ACTORS, ACTORS_WITH_MANY_TASKS, ADMIN, MEMBER, days_from_now

TODAY, YESTERDAY = date(2026, 3, 11), date(2026, 3, 10)
ID = Shape.of(id="id")
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
