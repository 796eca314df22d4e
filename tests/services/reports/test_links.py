"""Each number of a report equals the tasks that it links to, after weeks of random work."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from zoneinfo import ZoneInfo

import pytest
from redis import Redis
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app.composition.resources import Resources
from app.composition.services import serving
from app.database.engine import make_session_factory
from app.errors import ProjectArchivedError
from app.models.people.user import Role
from app.models.tasks.fields import ACTIVE_STATUSES, TaskStatus
from tests import factories, servers
from tests.actors import actor_of
from tests.conftest import simulate_clock
from tests.fakes import FakeJobQueue, FixedClock
from tests.services.reports.numbers import DAY, INSTANT, NOON, aging, cycle_time, flow, listed, total_of


def in_zones(*zones_and_projects):
    """Parametrize with zones that the module's fixtures take, so that tests of one zone share its weeks."""
    names = ("zone", "project")
    return pytest.mark.parametrize(names, zones_and_projects, indirect=["zone"], scope="module")


class TestFlow:
    @in_zones(("UTC", None), ("Europe/Berlin", "OPS"), ("Pacific/Kiritimati", None))
    def test_each_number_equals_the_tasks_that_it_links_to(self, weeks, project):
        for actor in weeks.actors:
            for item in flow(weeks.services.reports, actor, weeks.first, weeks.last, project=project)["items"]:
                for number in item["statuses"]:
                    count = total_of(weeks.services, actor, number["tasks"])
                    assert number["task_count"] == count, (item["date"], number)

    @in_zones(("UTC", None), ("Europe/Berlin", None))
    def test_all_tasks_of_a_link_can_be_listed(self, weeks, project):
        (item,) = flow(weeks.services.reports, weeks.mia, weeks.last, weeks.last, project=project)["items"]

        for number in item["statuses"]:
            tasks = listed(weeks.services, weeks.mia, number["tasks"], limit="200")["items"]
            assert len(tasks) == number["task_count"]
            assert {task["status"] for task in tasks} <= {number["status"]}


class TestCycleTime:
    @in_zones(("UTC", "OPS"), ("Europe/Berlin", None), ("Pacific/Kiritimati", None))
    def test_each_number_equals_the_tasks_that_it_links_to(self, weeks, project):
        seen = 0
        for actor in weeks.actors:
            for week in cycle_time(weeks.services.reports, actor, weeks.first, weeks.last, project=project)["items"]:
                assert week["task_count"] == total_of(weeks.services, actor, week["tasks"]), week
                seen += week["task_count"]
        assert seen


class TestAging:
    @in_zones(("UTC", None), ("UTC", "OPS"))
    def test_each_number_equals_the_tasks_that_it_links_to(self, weeks, project):
        seen = 0
        for actor in weeks.actors:
            for item in aging(weeks.services.reports, actor, project=project)["items"]:
                assert item["task_count"] == total_of(weeks.services, actor, item["tasks"]), item
                for status, count in item["by_status"].items():
                    assert count == total_of(weeks.services, actor, item["tasks"], status=status)
                seen += item["task_count"]
        assert seen


class Weeks:
    """Weeks of random work in both projects, the same in each run; some changes fall on midnight."""

    def __init__(self, services, session, clock, zone):
        self.services = services
        # Mia is a member of OPS and the viewer is not.
        ops = factories.Project(key="OPS")
        mia = factories.User(username="mia", role=Role.MANAGER)
        factories.ProjectMember(project_id=ops.id, user_id=mia.id)
        viewer = factories.User(role=Role.VIEWER)
        boss = actor_of(session, factories.User(role=Role.ADMIN))
        self.mia = actor_of(session, mia)
        chance = Random(20260309)  # noqa: S311 - no secret
        chance_to_archive = Random(20260310)  # noqa: S311 - no secret
        self.first = (clock() - DAY).date()
        ids = []
        for _ in range(200):
            clock.advance(minutes=chance.randrange(1, 400))
            if chance.random() < 0.2:
                local = clock().astimezone(zone)
                midnight = datetime.combine(local.date() + DAY, datetime.min.time(), tzinfo=zone).astimezone(UTC)
                clock.now = midnight - chance.choice([INSTANT, timedelta(0)])
            is_archived = chance_to_archive.random() < 0.15
            (services.projects.archive if is_archived else services.projects.restore)(boss, "OPS")
            with suppress(ProjectArchivedError):
                self._take_a_step(chance, ids, clock())
        clock.advance(hours=3)
        for project in ("GEN", "OPS"):
            services.projects.restore(boss, "OPS")
            ended = services.tasks.create(
                self.mia, {"title": "One", "project": project, "status": TaskStatus.IN_PROGRESS}
            )
            services.tasks.change(self.mia, ended.id, {"status": TaskStatus.DONE})
        # In one of the zones, the project is archived in the end.
        (services.projects.archive if zone.key.startswith("Pacific") else services.projects.restore)(boss, "OPS")
        clock.advance(minutes=1)
        self.mia, self.viewer = self.actors = [actor_of(session, user) for user in (mia, viewer)]
        self.last = clock().astimezone(zone).date()

    def _take_a_step(self, chance, ids, now):
        tasks, actor = self.services.tasks, self.mia
        step = chance.random()
        if step < 0.35 or not ids:
            values = {"project": chance.choice(["GEN", "OPS"]), "status": chance.choice(list(TaskStatus))}
            created_at = now - chance.choice([0, 1, 3, 12, 200]) * DAY
            ids.append(tasks.create(actor, {"title": "One", "created_at": created_at, **values}).id)
            return
        task_id = chance.choice(ids)
        if self.services.task_views.get(actor, task_id).values["deleted_at"] is not None:
            tasks.restore(actor, task_id)
        elif step < 0.45:
            tasks.delete(actor, task_id)
        elif step < 0.55:
            tasks.change(actor, task_id, {"project": chance.choice(["GEN", "OPS"]), "title": f"At {now}"})
        else:
            tasks.change(actor, task_id, {"status": chance.choice([*ACTIVE_STATUSES, *TaskStatus])})


@pytest.fixture(scope="module")
def zone(request):
    return request.param


@pytest.fixture(scope="module")
def weeks(zone, postgres_url, base_settings):
    """The tests only read them, so those of one zone share a database of their own, where nothing is committed."""
    with Redis.from_url(base_settings.redis_url) as redis:
        redis.flushdb()
    with servers.migrated_database(postgres_url, has_simulated_clock=True) as url:
        engine = create_engine(url, connect_args={"options": "-c timezone=UTC"})
        with engine.connect() as connection, Session(connection, join_transaction_mode="create_savepoint") as session:
            factories.bind(session)
            clock = FixedClock(NOON, tell=partial(simulate_clock, connection))
            settings = replace(base_settings, time_zone=ZoneInfo(zone))
            resources = Resources(settings, job_queue=FakeJobQueue(), clock=clock)
            resources.new_session = make_session_factory(connection)
            with serving(resources) as services:
                yield Weeks(services, session, clock, ZoneInfo(zone))
            resources.engine.dispose()
        engine.dispose()
