from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from threading import Barrier
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.composition.resources import Resources
from app.composition.services import serving
from app.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from app.job_queue import JobName
from app.models.daily_log.task_log import LogRequest, LogRun, LogSource, TaskLog
from app.models.people.user import Role
from app.models.tasks.fields import ACTIVE_STATUSES, TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.queries.daily_log import TaskLogQuery
from app.repositories.daily_log.days import LOG_LOCK
from app.schemas.classic import LOGGED_TASK, LOGGED_TASK_DETAIL
from app.services.daily_log.days import SLICE, DayRequest
from tests import factories as all_factories
from tests import servers
from tests.conftest import simulate_clock
from tests.fakes import FixedClock

YESTERDAY = date(2026, 3, 9)
TODAY = date(2026, 3, 10)
# Of yesterday, which is then the only day to log.
MORNING = datetime(2026, 3, 9, 6, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
LONG_AGO = datetime(2026, 3, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
LOGGED_COLUMNS = ("project_id", "number", "title", "status", "priority", "assignee_id", "due_at")

pytestmark = pytest.mark.usefixtures("factories", "clock")


class TestRequestDay:
    def test_today_is_what_nobody_named(self, service, manager, job_queue):
        assert service.request_day(manager, None) == DayRequest(TODAY, is_over=False)
        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]

    @pytest.mark.parametrize("day", [YESTERDAY, date(2026, 3, 5), LONG_AGO.date()])
    def test_a_day_that_is_over_may_be_asked_for(self, service, manager, job_queue, day):
        task_since(LONG_AGO)

        assert service.request_day(manager, day) == DayRequest(day, is_over=True)
        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]

    def test_asking_twice_is_asking_once(self, service, manager, session):
        service.request_day(manager, None)
        service.request_day(manager, TODAY)

        assert session.scalar(select(func.count()).select_from(LogRequest)) == 1

    @pytest.mark.parametrize("day", [TODAY + timedelta(days=1), date(9999, 12, 31)])
    def test_a_day_still_to_come_is_refused(self, service, manager, day):
        with pytest.raises(InvalidError, match="is still to come"):
            service.request_day(manager, day)

    @pytest.mark.parametrize("day", [date(2026, 2, 28), date(2000, 1, 1), date(1, 1, 1)])
    def test_a_day_before_the_first_task_is_refused(self, service, manager, day):
        task_since(LONG_AGO)

        with pytest.raises(InvalidError, match="before the record begins"):
            service.request_day(manager, day)

    def test_the_day_on_which_the_first_task_came_is_the_first_of_all(self, service, manager):
        task_since(MIDNIGHT - INSTANT)

        assert service.request_day(manager, YESTERDAY).log_date == YESTERDAY
        with pytest.raises(InvalidError, match="before the record begins"):
            service.request_day(manager, YESTERDAY - timedelta(days=1))

    def test_without_a_task_no_day_that_is_over_can_be_asked_for(self, service, manager):
        task_since(MIDNIGHT)

        with pytest.raises(InvalidError, match="before the record begins"):
            service.request_day(manager, YESTERDAY)

    def test_a_day_that_the_zone_left_out_is_refused(self, service_in, manager):
        task_since(datetime(2011, 12, 1, tzinfo=UTC))

        with pytest.raises(InvalidError, match="there was no 2011-12-30 in Pacific/Apia"):
            service_in("Pacific/Apia").request_day(manager, date(2011, 12, 30))

    def test_a_refused_day_wakes_nobody(self, service, manager, job_queue, session):
        with pytest.raises(InvalidError):
            service.request_day(manager, TODAY + timedelta(days=1))

        assert job_queue.enqueued == []
        assert session.scalar(select(func.count()).select_from(LogRequest)) == 0

    @pytest.mark.parametrize("day", [YESTERDAY, date(2026, 3, 5)])
    def test_a_day_that_is_closed_stays_closed(self, service, manager, day):
        task_since(LONG_AGO)
        service.log_due_days()

        with pytest.raises(ConflictError, match="logged for good: 1 tasks"):
            service.request_day(manager, day)

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_a_user_may_not(self, service, factories, acting_as, role):
        with pytest.raises(ForbiddenError):
            service.request_day(acting_as(factories.User(role=role)), None)


class TestLogToday:
    def test_it_is_logged_up_to_now_with_the_state_of_each_task(self, service, manager, factories, session):
        assignee = factories.User()
        due_at = NOON + timedelta(days=3)
        task = task_since(
            MORNING,
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
        active = {task_since(MORNING, status=status).id for status in ACTIVE_STATUSES}
        for status in (TaskStatus.DONE, TaskStatus.CANCELLED):
            task_since(MORNING, status=status, completed_at=ended_at)
        task_since(MORNING, deleted_at=ended_at)

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
        done, deleted, kept = (task_since(MORNING) for _ in range(3))
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
        clock.now = MIDNIGHT
        stays, ends = task_since(MIDNIGHT), task_since(MIDNIGHT)
        clock.now = NOON
        log_today(service, manager)
        clock.advance(hours=2)
        ends.change_status(TaskStatus.DONE, at=clock())
        stays.title = "Renamed"
        session.flush()
        late = task_since(clock())
        clock.advance(hours=10)
        stays.title = "Renamed at the midnight that ends the day"
        session.flush()

        assert service.log_due_days() == [TODAY]

        assert set(logged(session, TODAY)) == {stays.id, late.id}
        assert logged(session, TODAY)[stays.id].title == "Renamed"
        assert session.get_one(LogRun, TODAY, populate_existing=True).is_final

    def test_a_request_that_nobody_served_before_midnight_closes_the_day(self, service, manager, task, session, clock):
        service.log_due_days()
        service.request_day(manager, None)
        clock.advance(hours=13)

        assert service.log_due_days() == [TODAY]
        assert session.get_one(LogRun, TODAY).is_final

    def test_nothing_is_written_before_there_was_a_task(self, service, session):
        assert service.log_due_days() == []
        assert session.scalar(select(func.count()).select_from(LogRun)) == 0

    def test_over_the_end_of_a_year(self, service, session, clock):
        clock.now = datetime(2027, 1, 1, 0, 1, tzinfo=UTC)
        task = task_since(datetime(2026, 12, 31, tzinfo=UTC))

        assert service.log_due_days() == [date(2026, 12, 31)]
        assert set(logged(session, date(2026, 12, 31))) == {task.id}


class TestMidnight:
    """A day is what was true at its last instant, however late the run comes."""

    @pytest.mark.parametrize("end", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_a_task_ended_at_it_still_counts(self, service, task, session, clock, end):
        clock.now = MIDNIGHT
        end_task(session, task, end, at=MIDNIGHT)
        clock.now = NOON

        service.log_due_days()

        assert logged(session, YESTERDAY)[task.id].status is TaskStatus.TODO

    @pytest.mark.parametrize("end", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_a_task_ended_just_before_it_does_not(self, service, task, session, clock, end):
        other = task_since(MORNING)
        clock.now = MIDNIGHT - INSTANT
        end_task(session, task, end, at=clock())
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    @pytest.mark.parametrize(
        ("started_at", "status"),
        [(MIDNIGHT - INSTANT, TaskStatus.IN_PROGRESS), (MIDNIGHT, TaskStatus.TODO)],
    )
    def test_a_task_ended_after_it_had_been_taken_up_or_not(self, service, task, session, clock, started_at, status):
        clock.now = started_at
        end_task(session, task, TaskStatus.IN_PROGRESS, at=started_at)
        clock.now = NOON
        end_task(session, task, TaskStatus.DONE, at=NOON)

        service.log_due_days()

        assert logged(session, YESTERDAY)[task.id].status is status

    def test_an_end_that_is_said_to_have_been_earlier_counts_when_it_was_written(self, service, task, session):
        """An import may say that a task was completed last year: until it said so, the task was open here."""
        end_task(session, task, TaskStatus.DONE, at=LONG_AGO)

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_deleted_at_it_still_counts(self, service, task, session, clock):
        clock.now = MIDNIGHT
        task.delete(at=MIDNIGHT)
        session.flush()
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_deleted_just_before_it_does_not(self, service, task, session, clock):
        other = task_since(MORNING)
        clock.now = MIDNIGHT - INSTANT
        task.delete(at=clock())
        session.flush()
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    def test_a_task_purged_at_it_still_counts(self, service, task, session, clock):
        clock.now = MIDNIGHT
        session.delete(task)
        session.flush()
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_purged_just_before_it_does_not(self, service, task, session, clock):
        other = task_since(MORNING)
        clock.now = MIDNIGHT - INSTANT
        session.delete(task)
        session.flush()
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    def test_a_task_deleted_after_it_that_had_ended_before_does_not(self, service, task, session, clock):
        other = task_since(MORNING)
        clock.now = MIDNIGHT - timedelta(hours=1)
        end_task(session, task, TaskStatus.DONE, at=clock())
        clock.now = NOON
        task.delete(at=NOON)
        session.flush()

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    def test_a_task_done_before_it_and_cancelled_after_it_does_not(self, service, services, manager, session, clock):
        done, other = task_since(MORNING), task_since(MORNING)
        clock.now = MIDNIGHT - timedelta(hours=1)
        services.tasks.change(manager, done.id, {"status": TaskStatus.DONE})
        clock.now = NOON
        services.tasks.change(manager, done.id, {"status": TaskStatus.CANCELLED})

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    def test_a_task_done_before_it_and_reopened_after_it_does_not(self, service, services, manager, session, clock):
        done, other = task_since(MORNING), task_since(MORNING)
        clock.now = MIDNIGHT - timedelta(hours=1)
        services.tasks.change(manager, done.id, {"status": TaskStatus.DONE})
        clock.now = NOON
        services.tasks.change(manager, done.id, {"status": TaskStatus.TODO})

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {other.id}

    def test_a_task_recorded_at_it_does_not_whenever_it_was_made(self, service, task, session):
        task_since(MIDNIGHT, created_at=LONG_AGO)

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_recorded_just_before_it_does(self, service, session):
        task = task_since(MIDNIGHT - INSTANT)

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}

    def test_a_task_made_and_ended_between_two_midnights_is_in_no_log(self, service, task, session, clock):
        clock.now = MORNING + timedelta(hours=1)
        for change in (lambda brief: end_task(session, brief, TaskStatus.DONE, at=clock()), session.delete):
            change(all_factories.Task())
            session.flush()
        clock.now = NOON

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}


CHANGED_ON = date(2026, 3, 4)


class TestFillIn:
    """Nothing ran since the first of March: each day is logged as it was, all the same."""

    def test_every_day_that_is_missing_is_logged_and_closed(self, service, session):
        task = task_since(LONG_AGO)

        assert service.log_due_days() == days_of_march(1, 9)

        for day in days_of_march(1, 9):
            assert set(logged(session, day)) == {task.id}
            assert session.get_one(LogRun, day).is_final
        assert service.log_due_days() == []

    def test_a_day_among_others_that_were_logged_is_found(self, service, session):
        task_since(LONG_AGO)
        service.log_due_days()
        session.delete(session.get_one(LogRun, date(2026, 3, 5)))
        session.execute(text("DELETE FROM task_logs WHERE log_date = '2026-03-05'"))

        assert service.log_due_days() == [date(2026, 3, 5)]
        assert len(logged(session, date(2026, 3, 5))) == 1

    @pytest.mark.parametrize(
        "change",
        [
            lambda: {"title": "Renamed"},
            lambda: {"priority": TaskPriority.CRITICAL},
            lambda: {"due_at": NOON + timedelta(days=30)},
            lambda: {"assignee_id": all_factories.User().id},
            lambda: {"project_id": all_factories.Project().id, "number": 1},
            lambda: {"status": TaskStatus.IN_PROGRESS},
            lambda: {"status": TaskStatus.DONE, "completed_at": LONG_AGO},
            lambda: {"status": TaskStatus.CANCELLED},
            lambda: {"deleted_at": LONG_AGO},
        ],
        ids=["renamed", "prioritised", "due", "reassigned", "moved", "started", "done", "cancelled", "deleted"],
    )
    @pytest.mark.parametrize("is_by_sql", [False, True], ids=["by us", "by raw SQL"])
    def test_a_change_counts_from_its_own_day_on(self, service, session, clock, change, is_by_sql):
        clock.now = LONG_AGO
        task, other = task_since(LONG_AGO), task_since(LONG_AGO)
        before = active_tasks(session)
        clock.now = datetime(2026, 3, 4, 12, tzinfo=UTC)
        values = change()
        if is_by_sql:
            columns = ", ".join(f"{name} = :{name}" for name in values)
            session.execute(text(f"UPDATE tasks SET {columns} WHERE id = :id"), {**values, "id": task.id})
        else:
            for name, value in values.items():
                setattr(task, name, value)
            session.flush()
        after = active_tasks(session)
        clock.now = NOON

        service.log_due_days()

        assert before != after
        assert before[other.id] == after[other.id]
        for day in days_of_march(1, 9):
            assert logged_tasks(session, day) == (before if day < CHANGED_ON else after)

    def test_one_statement_that_changes_all_tasks_counts_for_all(self, service, session, clock):
        tasks = [task_since(LONG_AGO) for _ in range(20)]
        before = active_tasks(session)
        clock.now = datetime(2026, 3, 4, 12, tzinfo=UTC)
        session.execute(text("UPDATE tasks SET title = title || '!', status = 'blocked' WHERE id % 2 = 0"))
        after = active_tasks(session)
        clock.now = NOON

        service.log_due_days()

        assert len(before) == len(after) == len(tasks)
        assert logged_tasks(session, date(2026, 3, 3)) == before
        assert logged_tasks(session, CHANGED_ON) == logged_tasks(session, YESTERDAY) == after

    def test_a_task_that_is_purged_is_in_the_days_before(self, service, session, clock):
        task, kept = task_since(LONG_AGO, title="Purged"), task_since(LONG_AGO)
        clock.now = datetime(2026, 3, 4, 12, tzinfo=UTC)
        session.execute(text("DELETE FROM tasks WHERE id = :id"), {"id": task.id})
        clock.now = NOON

        service.log_due_days()

        assert logged(session, date(2026, 3, 3))[task.id].title == "Purged"
        assert set(logged(session, CHANGED_ON)) == {kept.id}

    def test_through_the_services_there_and_back(self, service, services, manager, admin, acting_as, session, clock):
        clock.now = LONG_AGO
        reopened, restored = (services.tasks.create(manager, {"title": title}).id for title in ("One", "Two"))
        as_admin = acting_as(admin)
        clock.now = datetime(2026, 3, 3, 12, tzinfo=UTC)
        services.tasks.change(manager, reopened, {"status": TaskStatus.DONE})
        services.tasks.delete(manager, restored)
        clock.now = datetime(2026, 3, 6, 12, tzinfo=UTC)
        services.tasks.change(manager, reopened, {"status": TaskStatus.IN_PROGRESS, "assignee": manager.username})
        services.tasks.restore(as_admin, restored)
        clock.now = NOON

        service.log_due_days()

        both = {reopened, restored}
        sizes = {day.day: set(logged(session, day)) for day in days_of_march(1, 9)}
        assert sizes == {day: set() if 3 <= day < 6 else both for day in range(1, 10)}
        row = logged(session, YESTERDAY)[reopened]
        assert (row.status, row.assignee_id) == (TaskStatus.IN_PROGRESS, manager.user_id)

    @pytest.mark.parametrize("seed", range(5))
    def test_whatever_happened_each_day_is_what_was_active_at_its_midnight(self, service, session, clock, seed):
        random = Random(seed)  # noqa: S311 - nothing is secret here
        clock.now = LONG_AGO
        for _ in range(5):
            all_factories.Task()
        expected = {}
        for day in days_of_march(1, 20):
            for _ in range(random.randrange(4)):
                clock.advance(hours=random.randrange(1, 7))
                change_something(session, random, at=clock())
            expected[day] = active_tasks(session)
            clock.now = datetime(2026, 3, day.day + 1, tzinfo=UTC)

        assert service.log_due_days() == list(expected)

        assert {day: logged_tasks(session, day) for day in expected} == expected

    def test_todays_log_is_of_now_and_not_of_midnight(self, service, manager, session, clock):
        clock.now = MIDNIGHT
        task = task_since(LONG_AGO, title="Before")
        clock.now = NOON
        task.title = "After"
        session.flush()

        log_today(service, manager)

        assert logged(session, YESTERDAY)[task.id].title == "Before"
        assert logged(session, TODAY)[task.id].title == "After"


class TestSource:
    def test_yesterday_is_scheduled_and_what_is_older_is_filled_in(self, service, session):
        task_since(datetime(2026, 3, 7, tzinfo=UTC))

        service.log_due_days()

        assert sources(session) == {7: LogSource.BACKFILL, 8: LogSource.BACKFILL, 9: LogSource.SCHEDULED}

    def test_what_was_asked_for_is_manual_and_comes_first(self, service, manager, session):
        task_since(datetime(2026, 3, 7, tzinfo=UTC))
        for day in (date(2026, 3, 8), TODAY):
            service.request_day(manager, day)

        assert [day.day for day in service.log_due_days()] == [8, 10, 7, 9]

        manual = {8: LogSource.MANUAL, 10: LogSource.MANUAL}
        assert sources(session) == {7: LogSource.BACKFILL, **manual, 9: LogSource.SCHEDULED}

    def test_the_day_that_the_schedule_completes_is_scheduled_though_it_was_asked_for_before(
        self, service, manager, task, session, clock
    ):
        log_today(service, manager)
        clock.advance(days=1)

        service.log_due_days()

        assert sources(session) == {9: LogSource.SCHEDULED, 10: LogSource.SCHEDULED}

    def test_the_day_before_one_that_the_zone_left_out_is_yesterday(self, service_in, session, clock):
        task_since(datetime(2011, 12, 29, 12, tzinfo=UTC))
        clock.now = datetime(2011, 12, 30, 12, tzinfo=UTC)

        service_in("Pacific/Apia").log_due_days()

        assert sources(session) == {29: LogSource.SCHEDULED}


class TestClockSetBack:
    def test_a_closed_day_stays_as_it_is_and_the_change_counts_from_its_end(self, service, task, session, clock):
        service.log_due_days()
        before = logged_tasks(session, YESTERDAY)

        clock.now = MIDNIGHT - timedelta(hours=4)
        task.title = "Renamed"
        new = all_factories.Task()
        session.flush()
        assert service.log_due_days() == []
        clock.now = NOON + timedelta(days=1)

        assert service.log_due_days() == [TODAY]
        assert logged_tasks(session, YESTERDAY) == before
        assert logged(session, TODAY)[task.id].title == "Renamed"
        assert set(logged(session, TODAY)) == {task.id, new.id}
        begins = text("SELECT DISTINCT valid_from FROM task_history WHERE task_id IN (:one, :two) ORDER BY 1")
        times = session.scalars(begins, {"one": task.id, "two": new.id}).all()
        assert times == [MORNING, MIDNIGHT]

    def test_the_day_that_it_comes_back_to_cannot_be_asked_for(self, service, manager, task, clock):
        service.log_due_days()
        clock.now = MIDNIGHT - timedelta(hours=4)

        with pytest.raises(ConflictError):
            service.request_day(manager, None)

    def test_within_a_day_the_order_of_changes_is_kept(self, service, manager, task, session, clock):
        task.title = "First"
        session.flush()
        clock.advance(hours=-2)
        task.title = "Second"
        session.flush()

        clock.now = NOON + timedelta(days=1)
        service.log_due_days()

        assert logged(session, TODAY)[task.id].title == "Second"


class TestPartitions:
    def test_those_of_this_month_and_of_the_next_are_made_ahead(self, service, session, clock):
        clock.now = datetime(2031, 1, 31, 12, tzinfo=UTC)

        service.log_due_days()

        assert {"task_logs_2031_01", "task_logs_2031_02"} <= partitions(session)

    def test_one_is_made_for_each_month_that_is_filled_in(self, service, session, clock):
        task_since(datetime(2025, 11, 30, tzinfo=UTC))
        clock.now = datetime(2026, 1, 2, tzinfo=UTC)

        service.log_due_days()

        assert {f"task_logs_{month}" for month in ("2025_11", "2025_12", "2026_01", "2026_02")} <= partitions(session)
        assert rows_by_month(session) == {11: 1, 12: 31, 1: 1}

    def test_nothing_is_dropped_without_a_limit(self, service, session, clock):
        task = task_since(MORNING)
        service.log_due_days()
        clock.now = datetime(2026, 6, 1, tzinfo=UTC)

        service.log_due_days()

        assert set(logged(session, YESTERDAY)) == {task.id}


class TestRetention:
    def test_a_month_goes_when_all_of_it_is_too_old(self, service, session, clock):
        task_since(datetime(2026, 1, 30, tzinfo=UTC))
        clock.now = datetime(2026, 3, 2, 12, tzinfo=UTC)
        service.log_due_days()
        assert rows_by_month(session) == {1: 2, 2: 28, 3: 1}

        clock.now = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)
        service.log_due_days()
        assert rows_by_month(session) == {1: 2, 2: 28, 3: 1}

        clock.now = datetime(2026, 3, 3, tzinfo=UTC)
        service.log_due_days()
        assert rows_by_month(session) == {2: 28, 3: 2}
        assert "task_logs_2026_01" not in partitions(session)

    def test_its_runs_stay_and_nothing_fills_it_in_again(self, service, session, clock):
        task_since(datetime(2026, 1, 30, tzinfo=UTC))
        clock.now = datetime(2026, 3, 2, 12, tzinfo=UTC)
        service.log_due_days()
        clock.now = datetime(2026, 3, 3, 12, tzinfo=UTC)

        assert service.log_due_days() == [date(2026, 3, 2)]
        assert service.log_due_days() == []

        assert session.get_one(LogRun, date(2026, 1, 30)).task_count == 1
        assert rows_by_month(session) == {2: 28, 3: 2}

    def test_a_day_of_a_month_that_went_cannot_be_asked_for(self, service, manager, clock):
        task_since(datetime(2026, 1, 30, tzinfo=UTC))
        for day in (2, 3):
            clock.now = datetime(2026, 3, day, 12, tzinfo=UTC)
            service.log_due_days()

        with pytest.raises(ConflictError):
            service.request_day(manager, date(2026, 1, 30))

    @pytest.fixture
    def settings(self, base_settings):
        return replace(base_settings, task_log_retention_days=30)


class TestSlice:
    """What there is to do may take hours; others get their turn in between."""

    def test_after_its_time_the_rest_is_asked_for(self, resources, services, clock, job_queue):
        task_since(LONG_AGO)
        resources.clock = clock_that_runs(SLICE / 2)

        assert services.daily_log.log_due_days() == days_of_march(1, 2)
        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]

    def test_one_after_the_other_does_all_of_it_once(self, resources, services, session, job_queue):
        task_since(LONG_AGO)
        resources.clock = clock_that_runs(SLICE / 2)

        days = services.daily_log.log_due_days()
        while job_queue.enqueued:
            job_queue.enqueued.pop()
            days += services.daily_log.log_due_days()

        assert days == days_of_march(1, 9)
        older = dict.fromkeys(range(1, 9), LogSource.BACKFILL)
        assert sources(session) == {**older, 9: LogSource.SCHEDULED}

    def test_what_was_asked_for_and_not_reached_is_not_forgotten(
        self, resources, services, manager, session, job_queue
    ):
        task_since(LONG_AGO)
        for day in (3, 5, 7):
            services.daily_log.request_day(manager, date(2026, 3, day))
        job_queue.enqueued.clear()
        services.close()
        resources.clock = clock_that_runs(SLICE / 2)

        with serving(resources) as hurried:
            hurried.daily_log.log_due_days()
            assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]
            for _ in range(5):
                hurried.daily_log.log_due_days()

        manual = {day for day, source in sources(session).items() if source is LogSource.MANUAL}
        assert manual == {3, 5, 7}

    def test_with_time_enough_nothing_more_is_asked_for(self, service, job_queue):
        task_since(LONG_AGO)

        service.log_due_days()

        assert job_queue.enqueued == []


class TestZone:
    def test_it_decides_what_today_is(self, service_in, manager, clock):
        clock.now = datetime(2026, 3, 9, 23, 30, tzinfo=UTC)

        assert service_in("UTC").request_day(manager, None).log_date == date(2026, 3, 9)
        assert service_in("Europe/Berlin").request_day(manager, None).log_date == date(2026, 3, 10)
        assert service_in("America/New_York").request_day(manager, None).log_date == date(2026, 3, 9)

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
        just_before = last_instant - INSTANT
        clock.now = last_instant - timedelta(hours=2)
        kept, ended = all_factories.Task(), all_factories.Task()

        clock.now = just_before
        new = all_factories.Task()
        end_task(session, ended, TaskStatus.DONE, at=just_before)
        assert service.log_due_days() == []
        clock.now = last_instant
        all_factories.Task()
        end_task(session, kept, TaskStatus.DONE, at=last_instant)
        assert service.log_due_days() == [day]

        assert set(logged(session, day)) == {kept.id, new.id}
        run = session.get_one(LogRun, day)
        assert (run.time_zone, run.is_final) == (zone, True)

    def test_every_day_around_a_change_of_clocks_is_closed_once(self, service_in, clock):
        service = service_in("Europe/Berlin")
        task_since(datetime(2026, 10, 22, 22, tzinfo=UTC))
        clock.now = datetime(2026, 10, 23, 22, tzinfo=UTC)

        days = []
        for _ in range(5 * 24 * 2):
            days += service.log_due_days()
            clock.advance(minutes=30)

        assert days == [date(2026, 10, day) for day in range(23, 28)]

    @pytest.mark.parametrize("hours", [1, 5 * 24], ids=["as they come", "all at once"])
    def test_a_day_that_a_zone_left_out_is_not_logged_and_the_one_before_it_is(self, service_in, clock, hours):
        """Samoa went from the 29th to the 31st of December 2011."""
        service = service_in("Pacific/Apia")
        task_since(datetime(2011, 12, 27, 12, tzinfo=UTC))
        clock.now = datetime(2011, 12, 28, 12, tzinfo=UTC)

        days = []
        for _ in range(5 * 24 // hours):
            clock.advance(hours=hours)
            days += service.log_due_days()

        assert days == [
            date(2011, 12, 27),
            date(2011, 12, 28),
            date(2011, 12, 29),
            date(2011, 12, 31),
            date(2012, 1, 1),
            date(2012, 1, 2),
        ]

    def test_each_run_keeps_the_zone_it_was_made_in(self, service_in, task, session, clock):
        service_in("UTC").log_due_days()
        clock.advance(days=1)
        service_in("America/New_York").log_due_days()
        clock.advance(days=1)
        service_in("Asia/Tokyo").log_due_days()

        zones = dict(session.execute(select(LogRun.log_date, LogRun.time_zone)).all())
        assert zones == {
            YESTERDAY: "UTC",
            TODAY: "America/New_York",
            TODAY + timedelta(days=1): "Asia/Tokyo",
        }

    def test_no_closed_day_is_written_again_under_another_one(self, service_in, task, session, clock):
        service_in("UTC").log_due_days()
        before = logged_tasks(session, YESTERDAY)
        task.title = "Renamed"
        session.flush()

        for zone in ("Pacific/Kiritimati", "Pacific/Niue", "UTC"):
            assert YESTERDAY not in service_in(zone).log_due_days()

        assert logged_tasks(session, YESTERDAY) == before


class TestListPage:
    def test_newest_day_first_and_by_task_within_a_day(self, service, manager, clock, task_logs):
        first, second = task_since(MORNING), task_since(MORNING)
        service.log_due_days()
        clock.advance(days=1)
        service.log_due_days()

        found = [(item["log_date"], item["task_id"]) for item in items_of(task_logs.list_page(manager, TaskLogQuery()))]

        assert found == [
            ("2026-03-10", first.id),
            ("2026-03-10", second.id),
            ("2026-03-09", first.id),
            ("2026-03-09", second.id),
        ]

    def test_pages_join_without_a_gap_or_a_double(self, service, manager, clock, task_logs):
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

    def test_filters_narrow_it(self, service, manager, factories, clock, task_logs):
        ada = factories.User(username="ada")
        hers, other = task_since(MORNING, assignee_id=ada.id), task_since(MORNING)
        service.log_due_days()
        clock.advance(days=1)
        service.log_due_days()

        def found(**conditions):
            page = task_logs.list_page(manager, TaskLogQuery(**conditions))
            return sorted((item["log_date"][-2:], item["task_id"]) for item in items_of(page))

        assert found(on=TODAY) == [("10", hers.id), ("10", other.id)]
        assert found(since=TODAY, task_id=hers.id) == [("10", hers.id)]
        assert found(until=YESTERDAY, assignee="ADA") == [("09", hers.id)]
        assert found(project="GEN", on=YESTERDAY) == [("09", hers.id), ("09", other.id)]
        assert found(project="NONE") == []

    def test_only_ones_own_projects_are_seen(self, service, factories, acting_as, admin, task_logs):
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

    def test_a_row_of_a_project_one_is_not_in_is_not_found(
        self, service, factories, manager, acting_as, admin, session, task_logs
    ):
        secret = task_since(MORNING, project_id=factories.Project().id)
        service.log_due_days()
        log_id = logged(session, YESTERDAY)[secret.id].id

        for get in (task_logs.get, partial(task_logs.get_with_task, shape=LOGGED_TASK_DETAIL)):
            with pytest.raises(NotFoundError):
                get(manager, log_id)
            assert get(acting_as(admin), log_id)

    def test_a_run_forgets_what_was_cached(self, service, manager, task, task_logs):
        query = TaskLogQuery()
        task_logs.list_page(manager, query)
        _, was_cached_before = task_logs.list_page(manager, query)

        service.log_due_days()

        page, was_cached = task_logs.list_page(manager, query)
        assert (was_cached_before, was_cached) == (True, False)
        assert len(page.items) == 1

    def test_a_run_with_nothing_to_do_forgets_nothing(self, service, manager, task, task_logs):
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
    def test_totals_are_those_of_all_pages(self, service, manager, page, per_page, shown, pages, task_logs):
        for _ in range(5):
            task_since(MORNING)
        service.log_due_days()

        body = numbered(task_logs, manager, page=page, per_page=per_page)

        assert len(body["tasks"]) == shown
        assert (body["total"], body["pages"], body["page"]) == (5, pages, page)

    def test_without_rows_there_are_no_pages(self, service, manager, task_logs):
        assert numbered(task_logs, manager) == {"tasks": [], "total": 0, "pages": 0, "page": 1}

    def test_of_one_day(self, service, manager, task, clock, task_logs):
        service.log_due_days()
        clock.advance(days=1)
        service.log_due_days()

        body = numbered(task_logs, manager, TaskLogQuery(on=YESTERDAY))

        assert [row["date_logged"] for row in body["tasks"]] == ["2026-03-09"]
        assert body["total"] == 1

    def test_totals_do_not_give_away_other_projects(self, service, manager, factories, task_logs):
        task_since(MORNING, project_id=factories.Project().id)
        task_since(MORNING)
        service.log_due_days()

        assert numbered(task_logs, manager)["total"] == 1

    def test_a_run_forgets_what_was_cached(self, service, manager, task, task_logs):
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


class TestAtOnce:
    """On a database of its own, where transactions are real."""

    def test_two_runs_give_each_day_and_task_once(self, own_parts):
        expected = make_tasks(own_parts, 50)

        runs = at_once(own_parts, lambda services: services.daily_log.log_due_days(), count=2)

        assert sorted(runs) == [[], [YESTERDAY]]
        assert days_and_tasks(own_parts) == [(YESTERDAY, task_id) for task_id in expected]

    def test_two_runs_of_a_day_that_was_asked_for_do_too(self, own_parts, factories, acting_as, manager):
        expected = make_tasks(own_parts, 50)
        with serving(own_parts) as services:
            services.daily_log.request_day(manager, None)

        at_once(own_parts, lambda services: services.daily_log.log_due_days(), count=2)

        assert days_and_tasks(own_parts) == [(day, task_id) for day in (YESTERDAY, TODAY) for task_id in expected]

    def test_runs_over_several_midnights_do_too(self, own_parts):
        expected = make_tasks(own_parts, 5)

        days = []
        for _ in range(3):
            for run in at_once(own_parts, lambda services: services.daily_log.log_due_days(), count=4):
                days += run
            own_parts.clock.advance(days=1)

        assert days == [YESTERDAY, TODAY, TODAY + timedelta(days=1)]
        assert days_and_tasks(own_parts) == [(day, task_id) for day in days for task_id in expected]


class TestOpenTransactions:
    """On a database of its own: somebody else's transaction is open while a day is to be closed."""

    def test_one_that_finds_another_at_work_leaves_the_day_to_it(self, own_parts, other_connection):
        log_due_days(own_parts)  # makes the partitions, for which it waits
        expected = make_tasks(own_parts, 2)
        other_connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOG_LOCK})

        assert log_due_days(own_parts) == []
        other_connection.rollback()
        assert log_due_days(own_parts) == [YESTERDAY]

        assert days_and_tasks(own_parts) == [(YESTERDAY, task_id) for task_id in expected]

    def test_who_asks_while_a_run_is_at_work_is_heard_by_it(self, own_parts, other_connection, manager, job_queue):
        """Their own ring finds it at work and leaves the day to it, and it looked for requests before that."""
        make_tasks(own_parts, 2)
        other_connection.execute(text("LOCK TABLE log_runs IN SHARE MODE"))
        with ThreadPoolExecutor(1) as threads:
            run = threads.submit(log_due_days, own_parts)
            assert servers.wait_for(lambda: is_waiting_for_lock(own_parts))
            with serving(own_parts) as services:
                services.daily_log.request_day(manager, None)
            assert log_due_days(own_parts) == []
            job_queue.enqueued.clear()
            other_connection.rollback()

            assert run.result() == [YESTERDAY]

        assert job_queue.enqueued == [JobName.LOG_DUE_DAYS]
        assert log_due_days(own_parts) == [TODAY]

    def test_one_that_has_written_keeps_the_day_open_and_its_change_counts(self, own_parts, other_connection):
        first, second = make_tasks(own_parts, 2)
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, first, "Late")
        own_parts.clock.now = MIDNIGHT + timedelta(minutes=1)

        assert log_due_days(own_parts) == []
        assert days_and_tasks(own_parts) == []
        other_connection.commit()
        assert log_due_days(own_parts) == [YESTERDAY]

        assert days_and_tasks(own_parts) == [(YESTERDAY, first), (YESTERDAY, second)]
        with own_parts.new_session() as session:
            assert logged(session, YESTERDAY)[first].title == "Late"

    def test_what_it_writes_after_midnight_counts_from_there_on(self, own_parts, other_connection):
        [task] = make_tasks(own_parts, 1)
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "Before")
        own_parts.clock.now = MIDNIGHT + timedelta(minutes=1)
        log_due_days(own_parts)
        # What its now() says is when it began.
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "After")
        other_connection.commit()
        own_parts.clock.now = MIDNIGHT + timedelta(minutes=1)

        assert log_due_days(own_parts) == [YESTERDAY]

        with own_parts.new_session() as session:
            assert logged(session, YESTERDAY)[task].title == "Before"
        assert versions_of(own_parts, task)[1:] == [("Before", MIDNIGHT - timedelta(seconds=30)), ("After", MIDNIGHT)]

    def test_one_that_is_given_up_leaves_the_day_as_it_was(self, own_parts, other_connection):
        [task] = make_tasks(own_parts, 1)
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "Never")
        own_parts.clock.now = MIDNIGHT + timedelta(minutes=1)
        assert log_due_days(own_parts) == []
        other_connection.rollback()

        assert log_due_days(own_parts) == [YESTERDAY]

        with own_parts.new_session() as session:
            assert logged(session, YESTERDAY)[task].title != "Never"

    def test_one_that_first_writes_when_the_day_is_closed_is_recorded_at_its_end(self, own_parts, other_connection):
        [task] = make_tasks(own_parts, 1)
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        other_connection.execute(text("SELECT FROM tasks"))
        own_parts.clock.now = MIDNIGHT + timedelta(minutes=1)
        assert log_due_days(own_parts) == [YESTERDAY]
        # What its now() says is when it began.
        own_parts.clock.now = MIDNIGHT - timedelta(seconds=30)
        rename(other_connection, task, "Late")
        other_connection.commit()
        own_parts.clock.now = NOON + timedelta(days=1)

        assert log_due_days(own_parts) == [TODAY]

        with own_parts.new_session() as session:
            assert logged(session, YESTERDAY)[task].title != "Late"
            assert logged(session, TODAY)[task].title == "Late"
        assert versions_of(own_parts, task)[1:] == [("Late", MIDNIGHT)]

    def test_one_that_goes_on_for_days_keeps_each_of_them_open_and_none_before(self, own_parts, other_connection):
        [task] = make_tasks(own_parts, 1)
        own_parts.clock.now = NOON
        rename(other_connection, task, "Late")
        own_parts.clock.now = NOON + timedelta(days=2)

        assert log_due_days(own_parts) == [YESTERDAY]
        other_connection.commit()
        assert log_due_days(own_parts) == [TODAY, TODAY + timedelta(days=1)]

        titles = [title for title, _valid_from in versions_of(own_parts, task)]
        with own_parts.new_session() as session:
            days = (YESTERDAY, TODAY, TODAY + timedelta(days=1))
            assert [logged(session, day)[task].title for day in days] == [titles[0], "Late", "Late"]

    def test_one_of_today_does_not_keep_yesterday_open(self, own_parts, other_connection):
        first, second = make_tasks(own_parts, 2)
        own_parts.clock.now = MIDNIGHT
        rename(other_connection, first, "Of today")

        assert log_due_days(own_parts) == [YESTERDAY]

        assert days_and_tasks(own_parts) == [(YESTERDAY, first), (YESTERDAY, second)]

    @pytest.fixture
    def other_connection(self, own_parts):
        with own_parts.engine.connect() as connection:
            yield connection


def task_since(recorded_at, **values):
    return all_factories.Task(revised_at=recorded_at, **values)


def log_today(service, actor):
    service.request_day(actor, None)
    service.log_due_days()


def logged(session, day):
    statement = select(TaskLog).where(TaskLog.log_date == day).execution_options(populate_existing=True)
    return {row.task_id: row for row in session.scalars(statement)}


def items_of(found):
    page, _was_cached = found
    return page.items


def numbered(task_logs, actor, query=None, *, page=1, per_page=10):
    found, _was_cached = task_logs.list_numbered(
        actor, query or TaskLogQuery(), LOGGED_TASK, page=page, per_page=per_page
    )
    rows = orjson.loads(b"[%s]" % found.rows)
    return {"tasks": rows, "total": found.total, "pages": found.page_count, "page": found.page}


def end_task(session, task, status, *, at):
    task.change_status(status, at=at)
    session.flush()


def change_something(session, random, *, at):
    """Make, change, delete, restore or purge a task, or change many."""
    if random.random() < 0.2:
        all_factories.Task()
        return
    task = random.choice(session.scalars(select(Task).order_by(Task.id)).all())
    match random.randrange(8):
        case 0:
            task.title = f"Renamed {random.random()}"
        case 1:
            task.assignee_id = all_factories.User().id
        case 2:
            project = all_factories.Project()
            task.project_id, task.number = project.id, 1
        case 3:
            task.delete(at=at)
        case 4:
            task.restore()
        case 5:
            session.delete(task)
        case 6:
            title = f"Of many {random.random()}"
            session.execute(text("UPDATE tasks SET title = :title WHERE id % 2 = :rest"), {"title": title, "rest": 1})
        case _:
            task.change_status(random.choice(list(TaskStatus)), at=at)
    session.flush()


def active_tasks(session):
    """What a log of this moment has to say, by the rule alone."""
    columns = (getattr(Task, name) for name in LOGGED_COLUMNS)
    statement = select(Task.id, *columns).where(Task.deleted_at.is_(None), Task.status.in_(ACTIVE_STATUSES))
    return {task_id: tuple(values) for task_id, *values in session.execute(statement)}


def logged_tasks(session, day):
    return {
        task_id: tuple(getattr(row, name) for name in LOGGED_COLUMNS) for task_id, row in logged(session, day).items()
    }


def sources(session):
    """Of each run, by the day's number in its month."""
    return {day.day: source for day, source in session.execute(select(LogRun.log_date, LogRun.source))}


def days_of_march(first, last):
    return [date(2026, 3, day) for day in range(first, last + 1)]


def partitions(session):
    statement = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'task_logs'::regclass")
    return set(session.scalars(statement))


def rows_by_month(session):
    month = func.extract("month", TaskLog.log_date)
    return {int(number): count for number, count in session.execute(select(month, func.count()).group_by(month))}


def clock_that_runs(step):
    """By so much with each look at it."""
    times = (NOON + number * step for number in count())
    return lambda: next(times)


def log_due_days(resources):
    with serving(resources) as services:
        return services.daily_log.log_due_days()


def is_waiting_for_lock(resources):
    with resources.engine.connect() as connection:
        return connection.execute(text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")).scalar_one()


def rename(connection, task_id, title):
    connection.execute(text("UPDATE tasks SET title = :title WHERE id = :id"), {"title": title, "id": task_id})


def versions_of(resources, task_id):
    statement = text("SELECT title, valid_from FROM task_history WHERE task_id = :id ORDER BY revision")
    with resources.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement, {"id": task_id})]


def make_tasks(resources, count):
    with Session(resources.engine) as session:
        all_factories.bind(session)
        ids = [task_since(MORNING).id for _ in range(count)]
        session.commit()
    return sorted(ids)


def days_and_tasks(resources):
    statement = select(TaskLog.log_date, TaskLog.task_id).order_by(TaskLog.log_date, TaskLog.task_id)
    with resources.new_session() as session:
        return [tuple(row) for row in session.execute(statement)]


def at_once(resources, do, *, count):
    """What each of so many threads got, all let go at the same moment, each with services of its own."""
    barrier = Barrier(count, timeout=20)

    def run(_number):
        with serving(resources) as services:
            barrier.wait()
            return do(services)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def service(services):
    return services.daily_log


@pytest.fixture
def service_in(settings, resources):
    """The service of a workspace in another time zone."""
    with ExitStack() as stack:

        def make(zone):
            elsewhere = Resources(
                replace(settings, time_zone=ZoneInfo(zone)),
                job_queue=resources.job_queue,
                cache=resources.cache,
                clock=resources.clock,
            )
            elsewhere.new_session = resources.new_session
            return stack.enter_context(serving(elsewhere)).daily_log

        yield make


@pytest.fixture
def manager(factories, acting_as):
    return acting_as(factories.User(role=Role.MANAGER))


@pytest.fixture
def task(factories):
    return task_since(MORNING)


@pytest.fixture
def own_parts(base_settings, postgres_url, job_queue, redis):
    def tell_database(now):
        with resources.engine.begin() as connection:
            simulate_clock(connection, now)

    with servers.migrated_database(postgres_url, has_simulated_clock=True) as url:
        resources = Resources(replace(base_settings, database_url=url), job_queue=job_queue)
        resources.clock = FixedClock(NOON, tell=tell_database)
        yield resources
        resources.engine.dispose()


@pytest.fixture
def task_logs(services):
    return services.task_logs
