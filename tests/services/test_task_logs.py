from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from threading import Barrier
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.composition import Parts, serving
from app.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from app.job_queue import JobName
from app.models.task import ACTIVE_STATUSES, TaskPriority, TaskStatus
from app.models.task_log import LogRequest, LogRun, LogSource, TaskLog
from app.models.user import Role
from app.services.task_logs import TaskLogQuery
from tests import factories as all_factories
from tests import servers
from tests.fakes import FixedClock

YESTERDAY = date(2026, 3, 9)
TODAY = date(2026, 3, 10)
MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
LONG_AGO = datetime(2026, 3, 1, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("factories")


class TestRequestDay:
    def test_today_is_what_nobody_named(self, service, manager, job_queue):
        assert service.request_day(manager, None) == TODAY
        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]

    def test_yesterday_may_be_asked_for(self, service, manager):
        assert service.request_day(manager, YESTERDAY) == YESTERDAY

    def test_asking_twice_is_asking_once(self, service, manager, session):
        service.request_day(manager, None)
        service.request_day(manager, TODAY)

        assert session.scalar(select(func.count()).select_from(LogRequest)) == 1

    @pytest.mark.parametrize("day", [TODAY + timedelta(days=1), date(9999, 12, 31)])
    def test_a_day_still_to_come_is_refused(self, service, manager, day):
        with pytest.raises(InvalidError, match="is still to come"):
            service.request_day(manager, day)

    @pytest.mark.parametrize("day", [YESTERDAY - timedelta(days=1), date(1, 1, 1)])
    def test_an_older_day_is_refused(self, service, manager, day):
        with pytest.raises(InvalidError, match="is over"):
            service.request_day(manager, day)

    def test_a_refused_day_wakes_nobody(self, service, manager, job_queue, session):
        with pytest.raises(InvalidError):
            service.request_day(manager, TODAY + timedelta(days=1))

        assert job_queue.enqueued == []
        assert session.scalar(select(func.count()).select_from(LogRequest)) == 0

    def test_a_day_that_is_closed_stays_closed(self, service, manager, task):
        service.log_due_days()

        with pytest.raises(ConflictError, match="logged for good"):
            service.request_day(manager, YESTERDAY)

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_a_user_may_not(self, service, factories, acting_as, role):
        with pytest.raises(ForbiddenError):
            service.request_day(acting_as(factories.User(role=role)), None)


class TestLogToday:
    def test_it_is_logged_up_to_now_with_the_state_of_each_task(self, service, manager, factories, session):
        assignee = factories.User()
        due_at = NOON + timedelta(days=3)
        task = task_since(
            LONG_AGO,
            title="Paint",
            status=TaskStatus.BLOCKED,
            priority=TaskPriority.HIGH,
            assignee_id=assignee.id,
            due_at=due_at,
        )

        service.request_day(manager, None)
        assert TODAY in service.log_due_days()

        row = logged(session, TODAY)[task.id]
        assert (row.title, row.status, row.priority) == ("Paint", TaskStatus.BLOCKED, TaskPriority.HIGH)
        assert (row.project_id, row.assignee_id, row.due_at) == (task.project_id, assignee.id, due_at)

    def test_the_run_is_written_down_and_is_not_final(self, service, manager, task, session):
        service.request_day(manager, None)
        service.log_due_days()

        run = session.get_one(LogRun, TODAY)
        assert (run.task_count, run.source, run.is_final) == (1, LogSource.MANUAL, False)
        assert (run.time_zone, run.started_at) == ("UTC", NOON)

    def test_only_active_tasks_are_logged(self, service, manager, session):
        ended_at = NOON - timedelta(hours=1)
        active = {task_since(LONG_AGO, status=status).id for status in ACTIVE_STATUSES}
        for status in (TaskStatus.DONE, TaskStatus.CANCELLED):
            task_since(LONG_AGO, status=status, completed_at=ended_at)
        task_since(LONG_AGO, deleted_at=ended_at)

        service.request_day(manager, None)
        service.log_due_days()

        assert set(logged(session, TODAY)) == active

    def test_nobody_asked_and_today_is_not_logged(self, service, task, session):
        service.log_due_days()

        assert logged(session, TODAY) == {}

    def test_the_asking_is_over_with_the_work(self, service, manager, task, session):
        service.request_day(manager, None)
        service.log_due_days()

        assert session.scalar(select(func.count()).select_from(LogRequest)) == 0
        assert service.log_due_days() == []

    def test_a_day_without_tasks_that_was_asked_for_is_a_run_of_none(self, service, manager, session):
        service.request_day(manager, None)

        assert service.log_due_days() == [TODAY]
        assert session.get_one(LogRun, TODAY).task_count == 0


class TestLogTodayAgain:
    def test_adds_no_duplicate_and_keeps_the_rows_ids(self, service, manager, task, session):
        log_today(service, manager)
        before = logged(session, TODAY)[task.id].id

        log_today(service, manager)

        assert [row.id for row in logged(session, TODAY).values()] == [before]

    def test_updates_what_changed(self, service, manager, task, session, clock):
        log_today(service, manager)
        task.title, task.priority, task.status = "Renamed", TaskPriority.CRITICAL, TaskStatus.BLOCKED
        session.flush()

        clock.advance(hours=1)
        log_today(service, manager)

        row = logged(session, TODAY)[task.id]
        assert (row.title, row.priority, row.status) == ("Renamed", TaskPriority.CRITICAL, TaskStatus.BLOCKED)

    def test_drops_what_is_no_longer_active_and_adds_what_is_new(self, service, manager, session, clock):
        done, deleted, kept = (task_since(LONG_AGO) for _ in range(3))
        log_today(service, manager)
        clock.advance(hours=1)
        done.change_status(TaskStatus.DONE, at=clock())
        deleted.delete(at=clock())
        session.flush()
        new = task_since(clock())

        clock.advance(hours=1)
        log_today(service, manager)

        assert set(logged(session, TODAY)) == {kept.id, new.id}
        assert session.get_one(LogRun, TODAY, populate_existing=True).task_count == 2

    def test_drops_what_was_purged(self, service, manager, task, session):
        log_today(service, manager)
        session.delete(task)
        session.flush()

        log_today(service, manager)

        assert logged(session, TODAY) == {}


class TestCloseYesterday:
    def test_it_is_logged_without_being_asked_for(self, service, task, session):
        assert service.log_due_days() == [YESTERDAY]

        assert set(logged(session, YESTERDAY)) == {task.id}
        run = session.get_one(LogRun, YESTERDAY)
        assert (run.source, run.is_final, run.task_count) == (LogSource.SCHEDULED, True, 1)

    def test_once_and_then_it_is_final(self, service, task, session):
        service.log_due_days()
        task.title = "Renamed afterwards"
        session.flush()

        assert service.log_due_days() == []
        assert logged(session, YESTERDAY)[task.id].title != "Renamed afterwards"

    def test_later_days_do_not_rewrite_it(self, service, task, session, clock):
        service.log_due_days()
        task.change_status(TaskStatus.DONE, at=clock())
        session.flush()

        clock.advance(days=1)
        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}
        assert logged(session, TODAY) == {}
        assert session.get_one(LogRun, TODAY).task_count == 0

    def test_what_was_logged_while_it_lasted_is_completed(self, service, manager, session, clock):
        stays, ends = task_since(LONG_AGO), task_since(LONG_AGO)
        log_today(service, manager)
        clock.advance(hours=2)
        ends.change_status(TaskStatus.DONE, at=clock())
        session.flush()
        late = task_since(clock())

        clock.advance(hours=12)
        assert service.log_due_days() == [TODAY]

        assert set(logged(session, TODAY)) == {stays.id, late.id}
        assert session.get_one(LogRun, TODAY, populate_existing=True).is_final

    def test_a_request_that_nobody_served_before_midnight_closes_the_day(self, service, manager, task, session, clock):
        service.request_day(manager, None)
        clock.advance(hours=13)

        assert service.log_due_days() == [TODAY]
        assert session.get_one(LogRun, TODAY).is_final

    def test_nothing_is_written_before_there_was_a_task(self, service, session):
        assert service.log_due_days() == []
        assert session.scalar(select(func.count()).select_from(LogRun)) == 0

    def test_over_the_end_of_a_year(self, service, session, clock):
        clock.now = datetime(2027, 1, 1, 0, 1, tzinfo=UTC)
        task = task_since(LONG_AGO)

        assert service.log_due_days() == [date(2026, 12, 31)]
        assert set(logged(session, date(2026, 12, 31))) == {task.id}


class TestMidnight:
    """A day is what was true at its last instant, however late the run comes."""

    @pytest.mark.parametrize("end", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_a_task_ended_after_it_still_counts(self, service, session, end):
        task = task_since(LONG_AGO, status=end, completed_at=MIDNIGHT)

        service.log_due_days()

        assert logged(session, YESTERDAY)[task.id].status is TaskStatus.TODO

    @pytest.mark.parametrize(
        ("started_at", "status"),
        [(MIDNIGHT - timedelta(hours=1), TaskStatus.IN_PROGRESS), (MIDNIGHT, TaskStatus.TODO)],
    )
    def test_a_task_ended_after_it_had_been_taken_up_or_not(self, service, session, started_at, status):
        task = task_since(LONG_AGO, status=TaskStatus.DONE, started_at=started_at, completed_at=NOON)

        service.log_due_days()

        assert logged(session, YESTERDAY)[task.id].status is status

    def test_a_task_ended_just_before_it_does_not(self, service, task, session):
        task_since(LONG_AGO, status=TaskStatus.DONE, completed_at=MIDNIGHT - timedelta(microseconds=1))

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_deleted_after_it_still_counts(self, service, session):
        task = task_since(LONG_AGO, deleted_at=MIDNIGHT)

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_deleted_just_before_it_does_not(self, service, task, session):
        task_since(LONG_AGO, deleted_at=MIDNIGHT - timedelta(microseconds=1))

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_deleted_after_it_that_had_ended_before_does_not(self, service, task, session):
        before = MIDNIGHT - timedelta(hours=1)
        task_since(LONG_AGO, status=TaskStatus.DONE, completed_at=before, deleted_at=NOON)

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_done_before_it_and_cancelled_after_it_does_not(self, service, services, manager, task, session):
        done = task_since(LONG_AGO, status=TaskStatus.DONE, completed_at=MIDNIGHT - timedelta(hours=1))
        services.tasks.change(manager, done.id, {"status": TaskStatus.CANCELLED})

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_recorded_after_it_does_not_whenever_it_was_made(self, service, task, session):
        task_since(MIDNIGHT, created_at=LONG_AGO)

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_recorded_just_before_it_does(self, service, session):
        task = task_since(MIDNIGHT - timedelta(microseconds=1))

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}


class TestZone:
    def test_it_decides_what_today_is(self, service_in, manager, clock):
        clock.now = datetime(2026, 3, 9, 23, 30, tzinfo=UTC)

        assert service_in("UTC").request_day(manager, None) == date(2026, 3, 9)
        assert service_in("Europe/Berlin").request_day(manager, None) == date(2026, 3, 10)
        assert service_in("America/New_York").request_day(manager, None) == date(2026, 3, 9)

    @pytest.mark.parametrize(
        ("zone", "day", "last_instant"),
        [
            # 23 hours: clocks went forward in the night before.
            ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 29, 22, tzinfo=UTC)),
            ("Europe/Berlin", date(2026, 3, 28), datetime(2026, 3, 28, 23, tzinfo=UTC)),
            # 25 hours: clocks went back.
            ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 25, 23, tzinfo=UTC)),
            ("Europe/Berlin", date(2026, 10, 24), datetime(2026, 10, 24, 22, tzinfo=UTC)),
            # The first midnight of summer time does not exist there.
            ("Africa/Cairo", date(2026, 4, 23), datetime(2026, 4, 23, 22, tzinfo=UTC)),
            # The hour before midnight comes twice.
            ("Asia/Beirut", date(2026, 10, 24), datetime(2026, 10, 24, 22, tzinfo=UTC)),
            ("Pacific/Apia", date(2026, 3, 9), datetime(2026, 3, 9, 11, tzinfo=UTC)),
            ("Asia/Kathmandu", date(2026, 3, 9), datetime(2026, 3, 9, 18, 15, tzinfo=UTC)),
            ("Pacific/Niue", date(2026, 3, 9), datetime(2026, 3, 10, 11, tzinfo=UTC)),
        ],
    )
    def test_a_day_ends_where_the_zone_says(self, service_in, session, clock, zone, day, last_instant):
        service = service_in(zone)
        just_before = last_instant - timedelta(microseconds=1)
        counts = {
            task_since(just_before).id,
            task_since(LONG_AGO, status=TaskStatus.DONE, completed_at=last_instant).id,
        }
        task_since(last_instant)
        task_since(LONG_AGO, status=TaskStatus.DONE, completed_at=just_before)

        clock.now = just_before
        assert day not in service.log_due_days()
        clock.now = last_instant
        assert service.log_due_days() == [day]

        assert set(logged(session, day)) == counts
        run = session.get_one(LogRun, day)
        assert (run.time_zone, run.is_final) == (zone, True)

    def test_every_day_around_a_change_of_clocks_is_closed_once(self, service_in, session, clock):
        service = service_in("Europe/Berlin")
        task_since(LONG_AGO)
        clock.now = datetime(2026, 10, 23, 22, tzinfo=UTC)

        days = []
        for _ in range(5 * 24 * 2):
            days += service.log_due_days()
            clock.advance(minutes=30)

        assert days == [date(2026, 10, day) for day in range(23, 28)]

    def test_a_day_that_a_zone_left_out_is_not_logged_and_the_one_before_it_is(self, service_in, session, clock):
        """Samoa went from the 29th to the 31st of December 2011."""
        service = service_in("Pacific/Apia")
        task_since(datetime(2011, 12, 1, tzinfo=UTC))
        clock.now = datetime(2011, 12, 28, 12, tzinfo=UTC)

        days = []
        for _ in range(5 * 24):
            days += service.log_due_days()
            clock.advance(hours=1)

        assert days == [
            date(2011, 12, 27),
            date(2011, 12, 28),
            date(2011, 12, 29),
            date(2011, 12, 31),
            date(2012, 1, 1),
            date(2012, 1, 2),
        ]


class TestListPage:
    def test_newest_day_first_and_by_task_within_a_day(self, service, manager, clock):
        first, second = task_since(LONG_AGO), task_since(LONG_AGO)
        service.log_due_days()
        clock.advance(days=1)
        service.log_due_days()

        found = [(item["log_date"], item["task_id"]) for item in items_of(service.list_page(manager, TaskLogQuery()))]

        assert found == [
            ("2026-03-10", first.id),
            ("2026-03-10", second.id),
            ("2026-03-09", first.id),
            ("2026-03-09", second.id),
        ]

    def test_pages_join_without_a_gap_or_a_double(self, service, manager, clock):
        for _ in range(3):
            task_since(LONG_AGO)
        for _ in range(3):
            service.log_due_days()
            clock.advance(days=1)

        seen, query = [], TaskLogQuery(limit=2)
        while True:
            page, _ = service.list_page(manager, query)
            seen += [(item["log_date"], item["task_id"]) for item in orjson.loads(page.body)["items"]]
            if page.next_cursor is None:
                break
            query = replace(query, cursor=page.next_cursor)

        assert len(seen) == len(set(seen)) == 9

    def test_filters_narrow_it(self, service, manager, factories, clock):
        ada = factories.User(username="ada")
        hers, other = task_since(LONG_AGO, assignee_id=ada.id), task_since(LONG_AGO)
        service.log_due_days()
        clock.advance(days=1)
        service.log_due_days()

        def found(**conditions):
            page = service.list_page(manager, TaskLogQuery(**conditions))
            return sorted((item["log_date"][-2:], item["task_id"]) for item in items_of(page))

        assert found(on=TODAY) == [("10", hers.id), ("10", other.id)]
        assert found(since=TODAY, task_id=hers.id) == [("10", hers.id)]
        assert found(until=YESTERDAY, assignee="ADA") == [("09", hers.id)]
        assert found(project="GEN", on=YESTERDAY) == [("09", hers.id), ("09", other.id)]
        assert found(project="NONE") == []

    def test_only_ones_own_projects_are_seen(self, service, factories, acting_as, admin):
        project = factories.Project(key="OPS")
        member = factories.User()
        factories.ProjectMember(project_id=project.id, user_id=member.id)
        secret = task_since(LONG_AGO, project_id=project.id)
        shared = task_since(LONG_AGO)
        service.log_due_days()

        def seen_by(user):
            return {item["task_id"] for item in items_of(service.list_page(acting_as(user), TaskLogQuery()))}

        assert seen_by(member) == {secret.id, shared.id}
        assert seen_by(factories.User(role=Role.MANAGER)) == {shared.id}
        assert seen_by(admin) == {secret.id, shared.id}

    def test_a_row_of_a_project_one_is_not_in_is_not_found(
        self, service, factories, manager, acting_as, admin, session
    ):
        secret = task_since(LONG_AGO, project_id=factories.Project().id)
        service.log_due_days()
        log_id = logged(session, YESTERDAY)[secret.id].id

        for get in (service.get, service.get_table_row):
            with pytest.raises(NotFoundError):
                get(manager, log_id)
            assert get(acting_as(admin), log_id)

    def test_a_run_forgets_what_was_cached(self, service, manager, task):
        query = TaskLogQuery()
        service.list_page(manager, query)
        _, was_cached_before = service.list_page(manager, query)

        service.log_due_days()

        page, was_cached = service.list_page(manager, query)
        assert (was_cached_before, was_cached) == (True, False)
        assert len(orjson.loads(page.body)["items"]) == 1

    def test_a_run_with_nothing_to_do_forgets_nothing(self, service, manager, task):
        service.log_due_days()
        service.list_page(manager, TaskLogQuery())

        service.log_due_days()

        _, was_cached = service.list_page(manager, TaskLogQuery())
        assert was_cached

    def test_rows_outlive_the_task(self, service, manager, task, session):
        service.log_due_days()
        session.delete(task)
        session.flush()

        (item,) = items_of(service.list_page(manager, TaskLogQuery()))
        assert (item["task_id"], item["title"], item["ref"]) == (task.id, task.title, f"GEN-{task.number}")

    def test_a_row_keeps_its_ref_when_the_task_moves_on(self, service, services, manager, admin, acting_as, factories):
        task = task_since(LONG_AGO)
        ref = f"GEN-{task.number}"
        factories.Project(key="OPS")
        service.log_due_days()

        services.tasks.change(acting_as(admin), task.id, {"project": "OPS"})

        assert ref in {item["ref"] for item in items_of(service.list_page(manager, TaskLogQuery()))}


class TestListNumbered:
    @pytest.mark.parametrize(
        ("page", "per_page", "shown", "pages"), [(1, 2, 2, 3), (3, 2, 1, 3), (4, 2, 0, 3), (1, 5, 5, 1), (1, 200, 5, 1)]
    )
    def test_totals_are_those_of_all_pages(self, service, manager, page, per_page, shown, pages):
        for _ in range(5):
            task_since(LONG_AGO)
        service.log_due_days()

        body = numbered(service, manager, page=page, per_page=per_page)

        assert len(body["tasks"]) == shown
        assert (body["total"], body["pages"], body["page"], body["current_page"]) == (5, pages, page, page)

    def test_without_rows_there_are_no_pages(self, service, manager):
        assert numbered(service, manager) == {"tasks": [], "total": 0, "pages": 0, "page": 1, "current_page": 1}

    def test_of_one_day(self, service, manager, task, clock):
        service.log_due_days()
        clock.advance(days=1)
        service.log_due_days()

        body = numbered(service, manager, TaskLogQuery(on=YESTERDAY))

        assert [row["date_logged"] for row in body["tasks"]] == ["2026-03-09"]
        assert body["total"] == 1

    def test_totals_do_not_give_away_other_projects(self, service, manager, factories):
        task_since(LONG_AGO, project_id=factories.Project().id)
        task_since(LONG_AGO)
        service.log_due_days()

        assert numbered(service, manager)["total"] == 1

    def test_a_run_forgets_what_was_cached(self, service, manager, task):
        assert numbered(service, manager)["total"] == 0

        service.log_due_days()

        assert numbered(service, manager)["total"] == 1

    def test_a_changed_description_is_seen_at_once(self, service, services, manager, task):
        service.log_due_days()
        numbered(service, manager)

        services.tasks.change(manager, task.id, {"description": "now with words"})

        assert numbered(service, manager)["tasks"][0]["task"]["description"] == "now with words"


class TestCountByDay:
    def test_tasks_are_counted_by_status(self, service, manager):
        for status in (TaskStatus.TODO, TaskStatus.TODO, TaskStatus.BLOCKED):
            task_since(LONG_AGO, status=status)
        service.log_due_days()

        (day,) = orjson.loads(service.count_by_day(manager, TaskLogQuery()).body)["items"]

        assert day == {"log_date": "2026-03-09", "task_count": 3, "by_status": {"todo": 2, "blocked": 1}}


class TestAtOnce:
    """On a database of its own, where transactions are real."""

    def test_two_runs_give_each_day_and_task_once(self, own_parts):
        expected = make_tasks(own_parts, 50)

        runs = at_once(own_parts, lambda services: services.task_logs.log_due_days(), count=2)

        assert sorted(runs) == [[], [YESTERDAY]]
        assert days_and_tasks(own_parts) == [(YESTERDAY, task_id) for task_id in expected]

    def test_two_runs_of_a_day_that_was_asked_for_do_too(self, own_parts, factories, acting_as, manager):
        expected = make_tasks(own_parts, 50)
        with serving(own_parts) as services:
            services.task_logs.request_day(manager, None)

        at_once(own_parts, lambda services: services.task_logs.log_due_days(), count=2)

        assert days_and_tasks(own_parts) == [(day, task_id) for day in (YESTERDAY, TODAY) for task_id in expected]

    def test_runs_over_several_midnights_do_too(self, own_parts):
        expected = make_tasks(own_parts, 5)

        days = []
        for _ in range(3):
            for run in at_once(own_parts, lambda services: services.task_logs.log_due_days(), count=4):
                days += run
            own_parts.clock.advance(days=1)

        assert days == [YESTERDAY, TODAY, TODAY + timedelta(days=1)]
        assert days_and_tasks(own_parts) == [(day, task_id) for day in days for task_id in expected]


def task_since(recorded_at, **values):
    return all_factories.Task(recorded_at=recorded_at, **values)


def log_today(service, actor):
    service.request_day(actor, None)
    service.log_due_days()


def logged(session, day):
    statement = select(TaskLog).where(TaskLog.log_date == day).execution_options(populate_existing=True)
    return {row.task_id: row for row in session.scalars(statement)}


def items_of(found):
    page, _was_cached = found
    return orjson.loads(page.body)["items"]


def numbered(service, actor, query=None, *, page=1, per_page=10):
    found, _was_cached = service.list_numbered(actor, query or TaskLogQuery(), page=page, per_page=per_page)
    return orjson.loads(found.body)


def make_tasks(parts, count):
    with Session(parts.engine) as session:
        all_factories.bind(session)
        ids = [task_since(LONG_AGO).id for _ in range(count)]
        session.commit()
    return sorted(ids)


def days_and_tasks(parts):
    statement = select(TaskLog.log_date, TaskLog.task_id).order_by(TaskLog.log_date, TaskLog.task_id)
    with parts.new_session() as session:
        return [tuple(row) for row in session.execute(statement)]


def at_once(parts, do, *, count):
    """What each of so many threads got, all let go at the same moment, each with services of its own."""
    barrier = Barrier(count, timeout=20)

    def run(_number):
        with serving(parts) as services:
            barrier.wait()
            return do(services)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


@pytest.fixture
def clock():
    return FixedClock(NOON)


@pytest.fixture
def service(services):
    return services.task_logs


@pytest.fixture
def service_in(settings, parts):
    """The service of a workspace in another time zone."""
    with ExitStack() as stack:

        def make(zone):
            elsewhere = Parts(
                replace(settings, time_zone=ZoneInfo(zone)),
                job_queue=parts.job_queue,
                cache=parts.cache,
                clock=parts.clock,
            )
            elsewhere.new_session = parts.new_session
            return stack.enter_context(serving(elsewhere)).task_logs

        yield make


@pytest.fixture
def manager(factories, acting_as):
    return acting_as(factories.User(role=Role.MANAGER))


@pytest.fixture
def task(factories):
    return task_since(LONG_AGO)


@pytest.fixture
def own_parts(base_settings, postgres_url, job_queue, redis, clock):
    with servers.migrated_database(postgres_url) as url:
        parts = Parts(replace(base_settings, database_url=url), job_queue=job_queue, clock=clock)
        yield parts
        parts.engine.dispose()
