"""In which order an import locks tasks and its project, on a database of its own where transactions commit."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.composition.services import serving
from app.models.imports.task_import import DuplicatePolicy
from app.models.people.user import Role
from app.models.tasks.task import Task
from tests import factories as all_factories
from tests import servers
from tests.servers import wait_for
from tests.services.imports.uploading import upload

HEADER = "task_name,external_ref"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


class TestUpdate:
    def test_tasks_are_locked_in_the_order_of_their_ids_and_the_project_after_them(self, resources, boss):
        run(resources, boss, "One,A", "Two,B")
        with resources.new_session() as session, ThreadPoolExecutor(1) as thread:
            first_id, second_id = session.scalars(select(Task.id).order_by(Task.id)).all()
            # The row of the first task now lies after the row of the second one.
            session.execute(text("UPDATE tasks SET position = 9 WHERE id = :id"), {"id": first_id})
            session.commit()
            session.execute(text("SELECT FROM tasks WHERE id = :id FOR UPDATE"), {"id": first_id})
            importing = thread.submit(run, resources, boss, "Changed,B", "Changed,A", "New,C")
            assert wait_for(lambda: count_waiting(resources) == 1)

            session.execute(text("SELECT FROM tasks WHERE id = :id FOR UPDATE NOWAIT"), {"id": second_id})
            session.execute(text("SELECT FROM projects FOR UPDATE NOWAIT"))
            session.rollback()

            importing.result(timeout=20)
            assert sorted(session.scalars(select(Task.title))) == ["Changed", "Changed", "New"]


def run(resources, boss, *rows):
    with serving(resources) as services:
        return upload(services.imports, boss, HEADER, *rows, wait_seconds=10, on_duplicate=DuplicatePolicy.UPDATE)


def count_waiting(resources):
    with resources.engine.connect() as connection:
        return connection.scalar(text(WAITING))


@pytest.fixture
def boss(resources):
    with Session(resources.engine) as session:
        all_factories.bind(session)
        boss = all_factories.User(role=Role.ADMIN)
        login_session = all_factories.LoginSession(user_id=boss.id)
        session.commit()
        return Actor(boss.id, boss.username, Role.ADMIN, frozenset(), login_session.id)


@pytest.fixture
def resources(base_settings, postgres_url, job_queue, redis):
    with servers.migrated_database(postgres_url) as url:
        resources = Resources(replace(base_settings, database_url=url), job_queue=job_queue)
        yield resources
        resources.engine.dispose()
