from dataclasses import replace
from datetime import date
from functools import partial

import orjson
import pytest

from app.errors import NotFoundError
from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.queries.daily_log import NumberedLogQuery, TaskLogQuery
from app.schemas.classic import LOGGED_TASK, LOGGED_TASK_DETAIL
from tests.services.daily_log.days.march import MORNING, TODAY, YESTERDAY, logged, task_since

pytestmark = pytest.mark.usefixtures("factories", "clock")


class TestListPage:
    def test_lists_the_newest_day_first_and_sorts_by_task_within_a_day(self, service, manager, clock, task_logs):
        first, second = task_since(MORNING), task_since(MORNING)
        service.log_due_days()
        clock.advance(days=1)
        service.log_due_days()

        listed = [
            (item["log_date"], item["task_id"]) for item in items_of(task_logs.list_page(manager, TaskLogQuery()))
        ]

        assert listed == [
            ("2026-03-10", first.id),
            ("2026-03-10", second.id),
            ("2026-03-09", first.id),
            ("2026-03-09", second.id),
        ]

    def test_pages_join_without_gaps_or_duplicates(self, service, manager, clock, task_logs):
        for _ in range(3):
            task_since(MORNING)
        for _ in range(3):
            service.log_due_days()
            clock.advance(days=1)

        seen, query = [], TaskLogQuery(limit=2)
        while True:
            page, _ = task_logs.list_page(manager, query)
            seen += [(item["log_date"], item["task_id"]) for item in page.items]
            if page.next_cursor is None:
                break
            query = replace(query, cursor=page.next_cursor)

        assert len(seen) == len(set(seen)) == 9

    def test_filters_narrow_the_list(self, service, manager, factories, clock, task_logs):
        ada = factories.User(username="ada")
        adas, other = task_since(MORNING, assignee_id=ada.id), task_since(MORNING)
        service.log_due_days()
        clock.advance(days=1)
        service.log_due_days()

        def listed(**conditions):
            page = task_logs.list_page(manager, TaskLogQuery(**conditions))
            return sorted((item["log_date"][-2:], item["task_id"]) for item in items_of(page))

        assert listed(on=TODAY) == [("10", adas.id), ("10", other.id)]
        assert listed(since=TODAY, task_id=adas.id) == [("10", adas.id)]
        assert listed(until=YESTERDAY, assignee="ADA") == [("09", adas.id)]
        assert listed(project="GEN", on=YESTERDAY) == [("09", adas.id), ("09", other.id)]
        assert listed(project="NONE") == []

    def test_shows_only_ones_own_projects(self, service, factories, acting_as, admin, task_logs):
        project = factories.Project(key="OPS")
        member = factories.User()
        factories.ProjectMember(project_id=project.id, user_id=member.id)
        secret = task_since(MORNING, project_id=project.id)
        shared = task_since(MORNING)
        service.log_due_days()

        def seen_by(user):
            return {item["task_id"] for item in items_of(task_logs.list_page(acting_as(user), TaskLogQuery()))}

        assert seen_by(member) == {secret.id, shared.id}
        assert seen_by(factories.User(role=Role.MANAGER)) == {shared.id}
        assert seen_by(admin) == {secret.id, shared.id}

    def test_a_row_of_another_project_is_not_found(
        self, service, factories, manager, acting_as, admin, session, task_logs
    ):
        secret = task_since(MORNING, project_id=factories.Project().id)
        service.log_due_days()
        log_id = logged(session, YESTERDAY)[secret.id].id

        for get in (task_logs.get, partial(task_logs.get_with_task, shape=LOGGED_TASK_DETAIL)):
            with pytest.raises(NotFoundError):
                get(manager, log_id)
            assert get(acting_as(admin), log_id)

    def test_a_run_clears_the_cache(self, service, manager, task, task_logs):
        query = TaskLogQuery()
        task_logs.list_page(manager, query)
        _, was_cached_before = task_logs.list_page(manager, query)

        service.log_due_days()

        page, was_cached = task_logs.list_page(manager, query)
        assert (was_cached_before, was_cached) == (True, False)
        assert len(page.items) == 1

    def test_a_run_with_nothing_to_do_keeps_the_cache(self, service, manager, task, task_logs):
        service.log_due_days()
        task_logs.list_page(manager, TaskLogQuery())

        service.log_due_days()

        _, was_cached = task_logs.list_page(manager, TaskLogQuery())
        assert was_cached

    def test_rows_outlive_the_task(self, service, manager, task, session, task_logs):
        service.log_due_days()
        session.delete(task)
        session.flush()

        (item,) = items_of(task_logs.list_page(manager, TaskLogQuery()))
        assert (item["task_id"], item["title"], item["ref"]) == (task.id, task.title, f"GEN-{task.number}")

    def test_a_row_keeps_its_ref_when_the_task_moves_on(
        self, service, services, manager, admin, acting_as, factories, task_logs
    ):
        task = task_since(MORNING)
        ref = f"GEN-{task.number}"
        factories.Project(key="OPS")
        service.log_due_days()

        services.tasks.change(acting_as(admin), task.id, {"project": "OPS"})

        assert ref in {item["ref"] for item in items_of(task_logs.list_page(manager, TaskLogQuery()))}


class TestListNumbered:
    @pytest.mark.parametrize(
        ("page", "per_page", "shown", "pages"), [(1, 2, 2, 3), (3, 2, 1, 3), (4, 2, 0, 3), (1, 5, 5, 1), (1, 200, 5, 1)]
    )
    def test_totals_count_all_pages(self, service, manager, page, per_page, shown, pages, task_logs):
        for _ in range(5):
            task_since(MORNING)
        service.log_due_days()

        body = numbered(task_logs, manager, page=page, per_page=per_page)

        assert len(body["tasks"]) == shown
        assert (body["total"], body["pages"], body["page"]) == (5, pages, page)

    def test_no_rows_make_no_pages(self, service, manager, task_logs):
        assert numbered(task_logs, manager) == {"tasks": [], "total": 0, "pages": 0, "page": 1}

    def test_lists_one_day(self, service, manager, task, clock, task_logs):
        service.log_due_days()
        clock.advance(days=1)
        service.log_due_days()

        body = numbered(task_logs, manager, on=YESTERDAY)

        assert [row["date_logged"] for row in body["tasks"]] == ["2026-03-09"]
        assert body["total"] == 1

    def test_totals_do_not_count_other_projects(self, service, manager, factories, task_logs):
        task_since(MORNING, project_id=factories.Project().id)
        task_since(MORNING)
        service.log_due_days()

        assert numbered(task_logs, manager)["total"] == 1

    def test_a_run_clears_the_cache(self, service, manager, task, task_logs):
        assert numbered(task_logs, manager)["total"] == 0

        service.log_due_days()

        assert numbered(task_logs, manager)["total"] == 1

    def test_a_changed_description_is_seen_at_once(self, service, services, manager, task, task_logs):
        service.log_due_days()
        numbered(task_logs, manager)

        services.tasks.change(manager, task.id, {"description": "now with words"})

        assert numbered(task_logs, manager)["tasks"][0]["task"]["description"] == "now with words"


class TestCountByDay:
    def test_tasks_are_counted_by_status(self, service, services, manager):
        for status in (TaskStatus.TODO, TaskStatus.TODO, TaskStatus.BLOCKED):
            task_since(MORNING, status=status)
        service.log_due_days()

        (day,) = services.daily_log_reports.count_by_day(manager, TaskLogQuery()).items

        assert (day.log_date, day.task_count) == (date(2026, 3, 9), 3)
        assert day.by_status == {"todo": 2, "blocked": 1}


def items_of(listed):
    page, _was_cached = listed
    return page.items


def numbered(task_logs, actor, *, page=1, per_page=10, on=None):
    query = NumberedLogQuery(page, per_page, on)
    listed, _was_cached = task_logs.list_numbered(actor, query, LOGGED_TASK)
    rows = orjson.loads(b"[%s]" % listed.rows)
    return {"tasks": rows, "total": listed.total, "pages": listed.page_count, "page": listed.page}


@pytest.fixture
def task_logs(services):
    return services.task_logs
