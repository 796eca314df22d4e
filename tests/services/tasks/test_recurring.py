from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from app.job_queue import JobName
from app.models.people.user import User
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task

MONDAY = datetime(2026, 3, 23, 17, tzinfo=UTC)


class TestRepeatDue:
    def test_a_completed_task_comes_again_as_it_was_with_the_next_deadline(
        self, services, factories, session, user, job_queue
    ):
        assignee = factories.User()
        task = recurring(
            factories, title="Water", description="All", labels=["x"], assignee_id=assignee.id, estimate=1.5,
            priority="high", start_on=date(2026, 3, 22), external_ref="A-1",
        )  # fmt: skip
        services.tasks.change(user, task.id, {"status": TaskStatus.DONE})
        assert JobName.REPEAT_TASKS in job_queue.enqueued

        assert services.recurring_tasks.repeat_due() == 1

        (following,) = others(session, task)
        assert (following.title, following.description, following.labels) == ("Water", "All", ["x"])
        assert (following.assignee_id, following.estimate, following.priority.value) == (assignee.id, 1.5, "high")
        assert (following.due_at, following.start_on) == (MONDAY + timedelta(days=7), date(2026, 3, 29))
        assert (following.status, following.completed_at) == (TaskStatus.TODO, None)
        assert (following.external_ref, following.creator_id) == (None, task.creator_id)
        session.refresh(task)
        assert (task.recurrence, following.recurrence) == (None, "FREQ=WEEKLY")

    def test_a_task_whose_deadline_has_passed_comes_again_and_stays_open(self, services, factories, session, clock):
        task = recurring(factories)
        clock.now = MONDAY + timedelta(seconds=1)

        assert services.recurring_tasks.repeat_due() == 1

        (following,) = others(session, task)
        assert following.due_at == MONDAY + timedelta(days=7)
        session.refresh(task)
        assert (task.status, task.recurrence) == (TaskStatus.TODO, None)

    def test_weeks_in_which_nothing_ran_are_left_out(self, services, factories, session, clock):
        task = recurring(factories)
        clock.now = MONDAY + timedelta(days=30)

        assert services.recurring_tasks.repeat_due() == 1

        assert [each.due_at for each in others(session, task)] == [MONDAY + timedelta(days=35)]

    def test_an_open_task_with_time_left_does_not(self, services, factories):
        recurring(factories)

        assert services.recurring_tasks.repeat_due() == 0

    def test_happens_once(self, services, factories, session, user):
        task = recurring(factories)
        services.tasks.change(user, task.id, {"status": TaskStatus.DONE})
        services.recurring_tasks.repeat_due()
        services.tasks.change(user, task.id, {"status": TaskStatus.TODO})
        services.tasks.change(user, task.id, {"status": TaskStatus.DONE})

        assert services.recurring_tasks.repeat_due() == 0
        assert len(others(session, task)) == 1

    def test_a_deleted_task_does_not(self, services, factories, boss, clock):
        task = recurring(factories)
        services.tasks.delete(boss, task.id)
        clock.now = MONDAY + timedelta(days=1)

        assert services.recurring_tasks.repeat_due() == 0

    def test_a_task_of_an_archived_project_waits_until_it_is_restored(self, services, factories, session, boss, clock):
        project = factories.Project(key="OPS")
        task = recurring(factories, project_id=project.id, status=TaskStatus.DONE)
        services.projects.archive(boss, "OPS")

        assert services.recurring_tasks.repeat_due() == 0

        services.projects.restore(boss, "OPS")
        assert services.recurring_tasks.repeat_due() == 1
        assert len(others(session, task)) == 1

    def test_a_rule_that_has_ended_makes_no_task(self, services, factories, session, user):
        task = recurring(factories, recurrence="FREQ=WEEKLY;COUNT=1")
        services.tasks.change(user, task.id, {"status": TaskStatus.DONE})

        services.recurring_tasks.repeat_due()

        assert others(session, task) == []
        session.refresh(task)
        assert task.recurrence is None

    def test_a_rule_written_by_hand_that_nobody_understands_stops_nothing(self, services, factories, session, clock):
        broken, task = recurring(factories, recurrence="sometimes"), recurring(factories)
        clock.now = MONDAY + timedelta(days=1)

        assert services.recurring_tasks.repeat_due() == 2

        assert len(others(session, broken, task)) == 1

    def test_the_history_names_who_made_the_task(self, services, factories, session, user):
        task = recurring(factories)
        services.tasks.change(user, task.id, {"status": TaskStatus.DONE})
        services.recurring_tasks.repeat_due()

        (following,) = others(session, task)
        (created,) = services.task_history.list_page(user, following.id, cursor=None, limit=5).items
        assert created.actor == session.get_one(User, task.creator_id).username

    def test_a_start_beyond_the_last_year_is_left_out(self, services, factories, session):
        task = recurring(
            factories, status=TaskStatus.DONE, start_on=date(9998, 12, 31), recurrence="FREQ=YEARLY;INTERVAL=9"
        )

        assert services.recurring_tasks.repeat_due() == 1
        assert [each.start_on for each in others(session, task)] == [None]

    def test_every_way_to_complete_a_task_counts(self, services, factories, session, clock):
        task = recurring(factories, status=TaskStatus.DONE)

        assert services.recurring_tasks.repeat_due() == 1
        assert len(others(session, task)) == 1


def recurring(factories, **values):
    return factories.Task(**{"due_at": MONDAY, "recurrence": "FREQ=WEEKLY", **values})


def others(session, *tasks):
    return session.scalars(select(Task).where(Task.id.not_in([task.id for task in tasks])).order_by(Task.id)).all()


@pytest.fixture(autouse=True)
def _before_the_deadline(clock):
    clock.now = MONDAY - timedelta(hours=1)


@pytest.fixture
def user(factories, acting_as):
    return acting_as(factories.User())
