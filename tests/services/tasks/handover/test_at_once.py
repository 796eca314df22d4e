"""A merge beside other writers. Each test has a database of its own, where transactions commit."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.composition.services import serving
from app.errors import CannotBeMergedError
from app.models.people.user import Role
from app.models.tasks.task import Task
from app.repositories.imports.people import ImportPeopleRepository
from tests import factories as all_factories
from tests.at_once import at_once, is_waiting
from tests.servers import wait_for

TASKS = 12
CALLERS = 4


class TestMerge:
    def test_no_change_of_a_task_is_lost_and_nobody_waits_in_a_circle(self, own_resources, people):
        def act(services, number):
            if number == 0:
                return services.handover.merge(people.boss, people.grace_id, into="ada")
            for task_id in people.task_ids[number - 1 :: CALLERS - 1]:
                services.tasks.change(people.boss, task_id, {"title": f"By {number}", "assignee": "ada"})
            return None

        at_once(own_resources, act, count=CALLERS)

        with own_resources.new_session() as session:
            rows = session.execute(select(Task.assignee_id, Task.title)).all()
        assert {row.assignee_id for row in rows} == {people.ada_id}
        assert all(row.title.startswith("By ") for row in rows)

    def test_happens_once(self, own_resources, people):
        def merge(services, _number):
            try:
                return services.handover.merge(people.boss, people.grace_id, into="ada")
            except CannotBeMergedError:
                return None

        counts = at_once(own_resources, merge, count=CALLERS)

        assert sorted(counts, key=str) == [TASKS, None, None, None]

    def test_moves_the_tasks_of_an_import_that_has_found_the_user_before(self, own_resources, people):
        with own_resources.new_session() as session, ThreadPoolExecutor(1) as thread:
            importing = ImportPeopleRepository(session)
            importing.lock_unclaimed(["GRACE"])
            found = importing.find(1, ["GRACE"])["GRACE"]
            merge = thread.submit(run_merge, own_resources, people)
            assert wait_for(lambda: is_waiting(own_resources.engine))
            session.execute(
                text("""
                    INSERT INTO tasks (project_id, number, position, title, status, priority, creator_id, assignee_id)
                    VALUES (1, 1000, 1, 'Imported', 'todo', 'low', :ada, :grace)
                """),
                {"ada": people.ada_id, "grace": found.id},
            )
            session.commit()

            assert merge.result(timeout=20) == TASKS + 1
            assert session.scalars(select(Task.assignee_id).where(Task.title == "Imported")).one() == people.ada_id


class TestOrder:
    @pytest.mark.parametrize("how", ["merge", "reassign"])
    def test_tasks_are_locked_in_the_order_of_their_ids(self, own_resources, people, how):
        first_id, *_, last_id = people.task_ids
        with own_resources.new_session() as session, ThreadPoolExecutor(1) as thread:
            # The row of the first task now lies after the rows of the others.
            session.execute(text("UPDATE tasks SET position = 9 WHERE id = :id"), {"id": first_id})
            session.commit()
            session.execute(text("SELECT FROM tasks WHERE id = :id FOR UPDATE"), {"id": first_id})
            running = thread.submit({"merge": run_merge, "reassign": run_reassign}[how], own_resources, people)
            assert wait_for(lambda: is_waiting(own_resources.engine))

            session.execute(text("SELECT FROM tasks WHERE id = :id FOR UPDATE NOWAIT"), {"id": last_id})
            session.rollback()

            assert running.result(timeout=20) == TASKS


def run_reassign(resources, people):
    with serving(resources) as services:
        return services.handover.reassign(people.boss, people.grace_id, to="ada")


def run_merge(resources, people):
    with serving(resources) as services:
        return services.handover.merge(people.boss, people.grace_id, into="ada")


@dataclass(frozen=True)
class People:
    boss: Actor
    grace_id: int
    ada_id: int
    task_ids: list[int]


@pytest.fixture
def people(own_resources):
    with Session(own_resources.engine) as session:
        all_factories.bind(session)
        boss = all_factories.User(role=Role.ADMIN)
        grace = all_factories.User(username="Grace", email=None, password_hash=None, is_active=False)
        ada = all_factories.User(username="ada")
        tasks = [all_factories.Task(assignee_id=grace.id, creator_id=boss.id) for _ in range(TASKS)]
        session.commit()
        actor = Actor(boss.id, boss.username, Role.ADMIN, frozenset())
        return People(actor, grace.id, ada.id, [task.id for task in tasks])
