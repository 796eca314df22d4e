"""Many tasks changed by several people at the same moment. Each test has a database of its own."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.composition.services import serving
from app.errors import ChangesCollidedError
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from app.services.tasks.bulk_items import BulkItem, Verb
from tests import factories as all_factories
from tests.at_once import at_once

TASKS = 40
CALLERS = 4
TURNS = 10


class TestOppositeOrders:
    def test_of_changes_wait_for_each_other_and_lose_nothing(self, own_resources, own_boss, task_ids):
        def act(services, number):
            for turn in range(TURNS):
                in_order = task_ids if number % 2 else task_ids[::-1]
                items = [BulkItem(task_id, Verb.PATCH, {"title": f"By {number}, {turn}"}) for task_id in in_order]
                outcomes = services.task_bulk.change_all(own_boss, items, precondition_of=None, is_atomic=True)
                assert all(outcome.is_changed for outcome in outcomes)

        at_once(own_resources, act, count=CALLERS)

        with own_resources.new_session() as session:
            rows = session.execute(select(Task.title, Task.version)).all()
        # Whoever came last changed all of them.
        assert len({row.title for row in rows}) == 1
        assert {row.version for row in rows} == {1 + CALLERS * TURNS}

    def test_of_moves_between_columns(self, own_resources, own_boss, task_ids):
        statuses = [TaskStatus.TODO, TaskStatus.DONE]

        def act(services, number):
            for turn in range(TURNS):
                in_order = task_ids if number % 2 else task_ids[::-1]
                items = [
                    BulkItem(task_id, Verb.MOVE, {"status": statuses[(index + turn) % 2], "after": None})
                    for index, task_id in enumerate(in_order)
                ]
                services.task_bulk.change_all(own_boss, items, precondition_of=None, is_atomic=True)

        at_once(own_resources, act, count=CALLERS)

        with own_resources.new_session() as session:
            rows = session.execute(select(Task.status, Task.position)).all()
        assert len(set(rows)) == TASKS

    def test_of_present_and_former_refs_do_not_wait_in_a_circle(self, own_resources, own_boss, task_ids):
        with Session(own_resources.engine) as session:
            all_factories.bind(session)
            all_factories.Project(key="NEW")
            session.commit()
        former, present = [], []
        with serving(own_resources) as services:
            for task_id in task_ids[:2]:
                former.append(services.task_views.get(own_boss, task_id).ref)
                present.append(services.tasks.change(own_boss, task_id, {"project": "NEW"}).ref)

        def act(services, number):
            collisions = 0
            keys = (present[number], former[1 - number])
            for turn in range(TURNS * 10):
                items = [BulkItem(key, Verb.PATCH, {"title": f"By {number}, {turn}"}) for key in keys]
                try:
                    outcomes = services.task_bulk.change_all(own_boss, items, precondition_of=None, is_atomic=True)
                    assert all(outcome.is_changed for outcome in outcomes)
                except ChangesCollidedError:
                    collisions += 1
            return collisions

        assert at_once(own_resources, act, count=2) == [0, 0]


class TestTwoProjects:
    def test_whose_trees_are_changed_in_opposite_orders_do_not_wait_in_a_circle(self, own_resources, own_boss):
        with Session(own_resources.engine) as session:
            all_factories.bind(session)
            web = all_factories.Project(key="WEB")
            projects = [1, web.id]
            parents = {id_: all_factories.Task(creator_id=own_boss.user_id, project_id=id_).id for id_ in projects}
            # Each caller has tasks of its own, and changes first those of one project and then those of the other.
            tasks = [
                [
                    (all_factories.Task(creator_id=own_boss.user_id, project_id=id_).id, parents[id_])
                    for id_ in order
                    for _ in range(10)
                ]
                for order in (projects, projects[::-1])
            ]
            session.commit()

        def act(services, number):
            collisions = 0
            for turn in range(TURNS * 3):
                items = [
                    BulkItem(task_id, Verb.PATCH, {"parent": parent_id if turn % 2 == 0 else None})
                    for task_id, parent_id in tasks[number]
                ]
                try:
                    services.task_bulk.change_all(own_boss, items, precondition_of=None, is_atomic=True)
                except ChangesCollidedError:
                    collisions += 1
            return collisions

        assert at_once(own_resources, act, count=2) == [0, 0]


@pytest.fixture
def task_ids(own_resources, own_boss):
    with Session(own_resources.engine) as session:
        all_factories.bind(session)
        tasks = [all_factories.Task(creator_id=own_boss.user_id) for _ in range(TASKS)]
        session.commit()
        return [task.id for task in tasks]
