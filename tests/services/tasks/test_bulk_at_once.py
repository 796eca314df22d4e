"""Many tasks changed by several people at the same moment. Each test has a database of its own."""

from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from app.services.tasks.bulk import BulkItem, Verb
from tests import factories as all_factories
from tests import servers
from tests.at_once import at_once

TASKS = 40
CALLERS = 4
TURNS = 10


class TestOppositeOrders:
    def test_of_changes_wait_for_each_other_and_lose_nothing(self, own_resources, boss, task_ids):
        def act(services, number):
            for turn in range(TURNS):
                in_order = task_ids if number % 2 else task_ids[::-1]
                items = [BulkItem(task_id, Verb.PATCH, {"title": f"By {number}, {turn}"}) for task_id in in_order]
                outcomes = services.task_bulk.change_all(boss, items, precondition_of=None, is_atomic=True)
                assert all(outcome.is_changed for outcome in outcomes)

        at_once(own_resources, act, count=CALLERS)

        with own_resources.new_session() as session:
            rows = session.execute(select(Task.title, Task.version)).all()
        # Whoever came last changed all of them.
        assert len({row.title for row in rows}) == 1
        assert {row.version for row in rows} == {1 + CALLERS * TURNS}

    def test_of_moves_between_columns(self, own_resources, boss, task_ids):
        statuses = [TaskStatus.TODO, TaskStatus.DONE]

        def act(services, number):
            for turn in range(TURNS):
                in_order = task_ids if number % 2 else task_ids[::-1]
                items = [
                    BulkItem(task_id, Verb.MOVE, {"status": statuses[(index + turn) % 2], "after": None})
                    for index, task_id in enumerate(in_order)
                ]
                services.task_bulk.change_all(boss, items, precondition_of=None, is_atomic=True)

        at_once(own_resources, act, count=CALLERS)

        with own_resources.new_session() as session:
            rows = session.execute(select(Task.status, Task.position)).all()
        assert len(set(rows)) == TASKS


@pytest.fixture
def boss(own_resources):
    with Session(own_resources.engine) as session:
        all_factories.bind(session)
        user = all_factories.User(role=Role.ADMIN)
        session.commit()
        return Actor(user.id, user.username, Role.ADMIN, frozenset())


@pytest.fixture
def task_ids(own_resources, boss):
    with Session(own_resources.engine) as session:
        all_factories.bind(session)
        tasks = [all_factories.Task(creator_id=boss.user_id) for _ in range(TASKS)]
        session.commit()
        return [task.id for task in tasks]


@pytest.fixture
def own_resources(base_settings, postgres_url, job_queue, redis):
    with servers.migrated_database(postgres_url) as url:
        resources = Resources(replace(base_settings, database_url=url), job_queue=job_queue)
        yield resources
        resources.engine.dispose()
