"""Subtasks and recurring tasks beside other writers. Each test has a database of its own, where transactions commit."""

from datetime import UTC, datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.errors import ChangesCollidedError, InvalidError
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from tests import factories as all_factories
from tests.at_once import at_once

CALLERS = 4
LEVELS = text("""
    WITH RECURSIVE below AS (
        SELECT id, 1 AS level FROM tasks WHERE parent_id IS NULL
        UNION ALL
        SELECT t.id, b.level + 1 FROM tasks AS t JOIN below AS b ON t.parent_id = b.id
    )
    SELECT count(*), max(level) FROM below
""")


class TestTrees:
    def test_changes_that_are_right_by_themselves_make_no_circle_and_no_fourth_level(self, own_resources, own_boss):
        with Session(own_resources.engine) as session:
            all_factories.bind(session)
            ids = [all_factories.Task(creator_id=own_boss.user_id).id for _ in range(6)]
            session.commit()

        def act(services, number):
            refused = 0
            for turn in range(60):
                task_id, parent_id = ids[(number + turn) % 6], ids[(number * 5 + turn * 7 + 1) % 6]
                try:
                    services.tasks.change(own_boss, task_id, {"parent": parent_id})
                except (InvalidError, ChangesCollidedError):
                    refused += 1
            return refused

        refused = at_once(own_resources, act, count=CALLERS)

        with own_resources.new_session() as session:
            reached, levels = session.execute(LEVELS).one()
        # A task in a circle is not below any task without a parent.
        assert (reached, levels <= 3) == (6, True)
        assert 0 < sum(refused) < CALLERS * 60


class TestRecurring:
    def test_each_task_comes_again_once_however_many_workers_look(self, own_resources, own_boss):
        with Session(own_resources.engine) as session:
            all_factories.bind(session)
            for n in range(30):
                all_factories.Task(
                    title=f"T{n}",
                    creator_id=own_boss.user_id,
                    status=TaskStatus.DONE,
                    due_at=datetime(2026, 3, 9, tzinfo=UTC),
                    recurrence="FREQ=YEARLY;INTERVAL=500",
                )
            session.commit()

        counts = at_once(own_resources, lambda services, _n: services.recurring_tasks.repeat_due(), count=CALLERS)

        assert sum(counts) == 30
        with own_resources.new_session() as session:
            per_title = session.execute(select(Task.title, func.count()).group_by(Task.title)).all()
        assert {count for _title, count in per_title} == {2}
