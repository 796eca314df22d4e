from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from sqlalchemy import select, text

from app.errors import ConflictError
from app.models.daily_log.task_log import LogRun
from app.models.tasks.fields import ACTIVE_STATUSES, TaskPriority, TaskStatus
from app.models.tasks.task import Task
from tests import factories as all_factories
from tests.services.daily_log.days.march import (
    LOGGED_COLUMNS,
    LONG_AGO,
    MIDNIGHT,
    MORNING,
    NOON,
    TODAY,
    YESTERDAY,
    days_of_march,
    log_today,
    logged,
    logged_tasks,
    task_since,
)

pytestmark = pytest.mark.usefixtures("factories", "clock")


CHANGED_ON = date(2026, 3, 4)


class TestFillIn:
    """No job has run since the first of March, and each day is still logged as it was."""

    def test_every_missing_day_is_logged_and_closed(self, service, session):
        task = task_since(LONG_AGO)

        assert service.log_due_days() == days_of_march(1, 9)

        for day in days_of_march(1, 9):
            assert set(logged(session, day)) == {task.id}
            assert session.get_one(LogRun, day).is_final
        assert service.log_due_days() == []

    def test_a_missing_day_between_logged_days_is_found(self, service, session):
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
    def test_a_change_counts_from_its_own_day(self, service, session, clock, change, is_by_sql):
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

    def test_a_statement_that_changes_all_tasks_counts_for_all(self, service, session, clock):
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

    def test_a_purged_task_is_in_the_logs_of_earlier_days(self, service, session, clock):
        task, other = task_since(LONG_AGO, title="Purged"), task_since(LONG_AGO)
        clock.now = datetime(2026, 3, 4, 12, tzinfo=UTC)
        session.execute(text("DELETE FROM tasks WHERE id = :id"), {"id": task.id})
        clock.now = NOON

        service.log_due_days()

        assert logged(session, date(2026, 3, 3))[task.id].title == "Purged"
        assert set(logged(session, CHANGED_ON)) == {other.id}

    def test_changes_made_and_undone_through_the_services_count(
        self, service, services, manager, admin, acting_as, session, clock
    ):
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
    def test_each_day_has_the_tasks_that_were_active_at_its_midnight(self, service, session, clock, seed):
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

    def test_todays_log_shows_the_state_of_now(self, service, manager, session, clock):
        clock.now = MIDNIGHT
        task = task_since(LONG_AGO, title="Before")
        clock.now = NOON
        task.title = "After"
        session.flush()

        log_today(service, manager)

        assert logged(session, YESTERDAY)[task.id].title == "Before"
        assert logged(session, TODAY)[task.id].title == "After"


class TestClockSetBack:
    def test_a_closed_day_is_unchanged_and_the_change_counts_from_its_end(self, service, task, session, clock):
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

    def test_a_closed_day_cannot_be_requested_again(self, service, manager, task, clock):
        service.log_due_days()
        clock.now = MIDNIGHT - timedelta(hours=4)

        with pytest.raises(ConflictError):
            service.request_day(manager, None)

    def test_changes_within_a_day_keep_their_order(self, service, manager, task, session, clock):
        task.title = "First"
        session.flush()
        clock.advance(hours=-2)
        task.title = "Second"
        session.flush()

        clock.now = NOON + timedelta(days=1)
        service.log_due_days()

        assert logged(session, TODAY)[task.id].title == "Second"


def change_something(session, random, *, at):
    """Create, change, delete, restore or purge a task, or change many."""
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
    """Select the rows that a log of this moment must have, using only the rule."""
    columns = (getattr(Task, name) for name in LOGGED_COLUMNS)
    statement = select(Task.id, *columns).where(Task.deleted_at.is_(None), Task.status.in_(ACTIVE_STATUSES))
    return {task_id: tuple(values) for task_id, *values in session.execute(statement)}
