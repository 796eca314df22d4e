"""No task is left below one that is deleted at the same moment. Each test has a database of its own."""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from app.composition.services import serving
from app.errors import ChangesCollidedError, ConflictError, InvalidError, NotFoundError, ParentDeletedError
from app.models.tasks.task import Task
from app.services.tasks.bulk_items import BulkItem, Verb
from tests import factories as all_factories
from tests.at_once import at_once, is_waiting
from tests.servers import wait_for

CALLERS = 4
TURNS = 40
DELETE = text("UPDATE tasks SET deleted_at = now(), version = version + 1 WHERE id = :id")
INSERT = """
    INSERT INTO tasks (project_id, number, position, title, description, status, priority, creator_id, parent_id)
    SELECT project_id, nextval('tasks_id_seq') + 1000, 1, 'New', '', 'todo', 'medium', creator_id, id
      FROM tasks WHERE id = {parent_id}
"""
CHECK = text("SET CONSTRAINTS ALL IMMEDIATE")


class TestPuttingATaskBelowAnother:
    """The task above is deleted in a transaction that has not committed yet."""

    @pytest.mark.parametrize("act", ["create", "change", "restore", "change many", "restore many"])
    def test_waits_and_is_refused(self, own_resources, own_boss, family, act):
        parent_id, free_id, deleted_id = family
        acts = {
            "create": lambda services: services.tasks.create(own_boss, {"title": "New", "parent": parent_id}),
            "change": lambda services: services.tasks.change(own_boss, free_id, {"parent": parent_id}),
            "restore": lambda services: services.tasks.restore(own_boss, deleted_id),
            "change many": lambda services: run_bulk(
                services, own_boss, BulkItem(free_id, Verb.PATCH, {"parent": parent_id})
            ),
            "restore many": lambda services: run_bulk(services, own_boss, BulkItem(deleted_id, Verb.RESTORE, True)),
        }

        with own_resources.new_session() as session, ThreadPoolExecutor(1) as thread:
            session.execute(DELETE, {"id": parent_id})
            session.execute(CHECK)
            acting = thread.submit(run, own_resources, acts[act])
            wait_for(lambda: acting.done() or is_waiting(own_resources.engine))
            session.commit()
            with pytest.raises(ParentDeletedError):
                acting.result(timeout=20)

        assert orphans(own_resources) == []


class TestDeleting:
    """A task is put below it in a transaction that has not committed yet."""

    @pytest.mark.parametrize("act", ["delete", "delete all", "delete many"])
    @pytest.mark.parametrize("put", ["insert", "change", "restore"])
    def test_is_refused(self, own_resources, own_boss, family, act, put):
        parent_id, free_id, deleted_id = family
        acts = {
            "delete": lambda services: services.tasks.delete(own_boss, parent_id),
            "delete all": lambda services: services.tasks.delete(own_boss, parent_id, cascade=True),
            "delete many": lambda services: run_bulk(services, own_boss, BulkItem(parent_id, Verb.DELETE, True)),
        }
        statement = {
            "insert": INSERT.format(parent_id=parent_id),
            "change": f"UPDATE tasks SET parent_id = {parent_id} WHERE id = {free_id}",
            "restore": f"UPDATE tasks SET deleted_at = NULL WHERE id = {deleted_id}",
        }[put]

        with own_resources.new_session() as session, ThreadPoolExecutor(1) as thread:
            session.execute(text(statement))
            acting = thread.submit(run, own_resources, acts[act])
            wait_for(lambda: acting.done() or is_waiting(own_resources.engine))
            session.commit()
            with pytest.raises((ConflictError, ChangesCollidedError)):
                acting.result(timeout=20)

        assert orphans(own_resources) == []
        # The next one sees it.
        run(own_resources, lambda services: services.tasks.delete(own_boss, parent_id, cascade=True))
        assert orphans(own_resources) == []

    @pytest.mark.parametrize("act", ["delete", "delete all", "delete many"])
    def test_does_not_wait_for_tasks_that_are_put_below_others(self, own_resources, own_boss, family, act):
        parent_id, free_id, _deleted_id = family
        acts = {
            "delete": lambda services: services.tasks.delete(own_boss, free_id),
            "delete all": lambda services: services.tasks.delete(own_boss, free_id, cascade=True),
            "delete many": lambda services: run_bulk(services, own_boss, BulkItem(free_id, Verb.DELETE, True)),
        }

        with own_resources.new_session() as session:
            session.execute(text(INSERT.format(parent_id=parent_id)))
            run(own_resources, acts[act])
            session.commit()

        assert orphans(own_resources) == []

    def test_keeps_those_out_who_come_while_others_change_trees(self, own_resources, own_boss, family):
        """The lock of the project's trees is not to be had, so the row of the deleted task is locked."""
        parent_id, free_id, _deleted_id = family

        with (
            own_resources.new_session() as importing,
            own_resources.new_session() as deleting,
            ThreadPoolExecutor(1) as thread,
        ):
            importing.execute(text(INSERT.format(parent_id=free_id)))
            deleting.execute(DELETE, {"id": parent_id})
            deleting.execute(CHECK)
            acting = thread.submit(importing.execute, text(INSERT.format(parent_id=parent_id)))
            wait_for(lambda: acting.done() or is_waiting(own_resources.engine))
            deleting.commit()
            with pytest.raises(IntegrityError, match="would be below a deleted one"):
                acting.result(timeout=20)


class TestEverybodyAtOnce:
    def test_leaves_no_task_below_a_deleted_one(self, own_resources, own_boss):
        ids = make_tasks(own_resources, own_boss, 6)

        def act(services, number):
            random, done = Random(number), 0  # noqa: S311
            for _ in range(TURNS):
                task_id, parent_id = random.sample(ids, 2)
                try:
                    match random.randrange(4):
                        case 0:
                            services.tasks.change(own_boss, task_id, {"parent": parent_id})
                        case 1:
                            services.tasks.delete(own_boss, task_id, cascade=True)
                        case 2:
                            services.tasks.restore(own_boss, task_id)
                        case _:
                            services.tasks.create(own_boss, {"title": "New", "parent": parent_id})
                    done += 1
                except (ConflictError, InvalidError, NotFoundError, ChangesCollidedError):
                    pass
            return done

        done = at_once(own_resources, act, count=CALLERS)

        assert min(done) > 0
        assert orphans(own_resources) == []


def run(resources, act):
    with serving(resources) as services:
        return act(services)


def run_bulk(services, actor, *items):
    """Raise the error of the first item that is refused."""
    for outcome in services.task_bulk.change_all(actor, items, precondition_of=None, is_atomic=False):
        if outcome.error is not None:
            raise outcome.error


def orphans(resources):
    parent = aliased(Task)
    statement = select(Task.id).join(parent, parent.id == Task.parent_id)
    with resources.new_session() as session:
        return session.scalars(statement.where(Task.deleted_at.is_(None), parent.deleted_at.is_not(None))).all()


def make_tasks(resources, actor, count, **values):
    with Session(resources.engine) as session:
        all_factories.bind(session)
        ids = [all_factories.Task(creator_id=actor.user_id, **values).id for _ in range(count)]
        session.commit()
        return ids


@pytest.fixture
def family(own_resources, own_boss):
    """The ids of a task, of one that is below nothing, and of a deleted one below the first."""
    parent_id, free_id = make_tasks(own_resources, own_boss, 2)
    (deleted_id,) = make_tasks(own_resources, own_boss, 1, parent_id=parent_id, deleted_at="2026-03-09T12:00:00Z")
    return parent_id, free_id, deleted_id
