"""Archiving beside writers. Each test has a database of its own, where transactions commit."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.composition.services import serving
from app.errors import ProjectArchivedError
from app.models.people.user import Role
from app.models.projects.project import Project
from app.models.tasks.task import Task
from tests import factories as all_factories
from tests.at_once import at_once, is_waiting
from tests.servers import wait_for

CALLERS = 6
ROUNDS = 25
UPDATE = text("UPDATE tasks SET title = 'Late' WHERE id = :task_id")


class TestArchive:
    def test_waits_for_a_writer_that_has_not_committed(self, own_resources, stage):
        with own_resources.new_session() as session, ThreadPoolExecutor(1) as thread:
            session.execute(UPDATE, {"task_id": stage.task_id})
            archiving = thread.submit(run_archive, own_resources, stage)
            assert wait_for(lambda: is_waiting(own_resources.engine))
            session.commit()

            assert archiving.result(timeout=20)["archived_at"]

    def test_a_writer_that_waited_is_refused(self, own_resources, stage):
        with own_resources.new_session() as session, ThreadPoolExecutor(1) as thread:
            session.execute(text("UPDATE projects SET archived_at = now() WHERE key = 'OPS'"))
            writing = thread.submit(run_change, own_resources, stage)
            assert wait_for(lambda: is_waiting(own_resources.engine))
            session.commit()

            with pytest.raises(ProjectArchivedError):
                writing.result(timeout=20)

    def test_each_write_is_done_or_refused_and_nobody_waits_in_a_circle(self, own_resources, stage):
        def act(services, number):
            done = 0
            for turn in range(ROUNDS):
                with suppress(ProjectArchivedError):
                    if number == 0:
                        services.projects.archive(stage.boss, "OPS")
                        services.projects.restore(stage.boss, "OPS")
                    elif number == 1:
                        there = "GEN" if turn % 2 == 0 else "OPS"
                        services.tasks.change(stage.boss, stage.moving_id, {"project": there})
                    else:
                        services.tasks.change(stage.boss, stage.task_id, {"title": f"{number}, {turn}"})
                    done += 1
            return done

        _archiver, _mover, *writers = at_once(own_resources, act, count=CALLERS)

        with own_resources.new_session() as session:
            # Each write that was not refused has made a version.
            assert session.get_one(Task, stage.task_id).revision == 1 + sum(writers)


def run_archive(resources, stage):
    with serving(resources) as services:
        return services.projects.archive(stage.boss, "OPS").values


def run_change(resources, stage):
    with serving(resources) as services:
        return services.tasks.change(stage.boss, stage.task_id, {"title": "Late"})


@dataclass(frozen=True)
class Stage:
    boss: Actor
    task_id: int
    moving_id: int


@pytest.fixture
def stage(own_resources):
    with Session(own_resources.engine) as session:
        all_factories.bind(session)
        boss = all_factories.User(role=Role.ADMIN)
        project: Project = all_factories.Project(key="OPS")
        task, moving = (all_factories.Task(project_id=project.id, creator_id=boss.id) for _ in range(2))
        session.commit()
        return Stage(Actor(boss.id, boss.username, Role.ADMIN, frozenset()), task.id, moving.id)
