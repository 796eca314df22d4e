"""Moves by several people at the same moment. Each test has a database of its own, where transactions commit."""

import random

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.errors import ChangesCollidedError, StatusChangedError
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from tests import factories as all_factories
from tests.at_once import at_once

TODO, DONE = TaskStatus.TODO, TaskStatus.DONE
TASKS = 16
MOVERS = 6
MOVES = 25


class TestMove:
    def test_nothing_is_lost_and_every_position_is_another(self, own_resources, own_boss, task_ids):
        """All move to the same places, where there is hardly any room."""
        with own_resources.engine.begin() as connection:
            connection.execute(text("UPDATE tasks SET position = 1 + number * power(2, -52)"))

        def act(services, number):
            chosen = random.Random(number)  # noqa: S311
            for _ in range(MOVES):
                task_id, neighbour_id = chosen.sample(task_ids, 2)
                services.task_order.move(own_boss, task_id, chosen.choice([{"after": None}, {"before": None}]))
                services.task_order.move(own_boss, task_id, {"after": neighbour_id})
            return True

        assert all(at_once(own_resources, act, count=MOVERS))

        with own_resources.new_session() as session:
            rows = session.execute(select(Task.id, Task.position)).all()
        assert {row.id for row in rows} == set(task_ids)
        assert len({row.position for row in rows}) == len(task_ids)

    def test_between_columns_the_status_of_the_last_one_counts(self, own_resources, own_boss, task_ids):
        def act(services, number):
            chosen, done = random.Random(number), 0  # noqa: S311
            for _ in range(MOVES):
                status, expected = chosen.sample([TODO, DONE], 2)
                try:
                    services.task_order.move(
                        own_boss, chosen.choice(task_ids), {"status": status, "expected_status": expected}
                    )
                    done += 1
                except (StatusChangedError, ChangesCollidedError):
                    pass
            return done

        counts = at_once(own_resources, act, count=MOVERS)

        with own_resources.new_session() as session:
            rows = session.execute(select(Task.id, Task.status, Task.position, Task.version)).all()
        assert len({(row.status, row.position) for row in rows}) == len(rows) == TASKS
        # Every move that was answered with success raised a version, and no other one did.
        assert sum(row.version - 1 for row in rows) == sum(counts)

    def test_beside_changes_of_the_same_tasks(self, own_resources, own_boss, task_ids):
        def act(services, number):
            chosen, collisions = random.Random(number), 0  # noqa: S311
            for turn in range(MOVES):
                task_id, neighbour_id = chosen.sample(task_ids, 2)
                try:
                    if number % 2:
                        services.tasks.change(own_boss, task_id, {"title": f"By {number}, {turn}"})
                    else:
                        services.task_order.move(own_boss, task_id, {"after": neighbour_id})
                except ChangesCollidedError:
                    collisions += 1
            return collisions

        at_once(own_resources, act, count=MOVERS)

        with own_resources.new_session() as session:
            rows = session.execute(select(Task.position, Task.title)).all()
        assert len({row.position for row in rows}) == TASKS


@pytest.fixture
def task_ids(own_resources, own_boss):
    with Session(own_resources.engine) as session:
        all_factories.bind(session)
        tasks = [all_factories.Task(creator_id=own_boss.user_id) for _ in range(TASKS)]
        session.commit()
        return [task.id for task in tasks]
