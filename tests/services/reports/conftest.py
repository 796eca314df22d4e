"""The service of reports at noon on Monday, and a history of tasks made by Mia."""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from app.models.people.user import Role
from app.models.tasks.fields import ACTIVE_STATUSES, TaskStatus
from tests.services.reports.numbers import DAY, INSTANT, NOON


class History:
    """Weeks of random work in both projects, the same in each run; some changes fall on midnight."""

    def __init__(self, services, actor, clock, zone):
        chance = Random(20260309)  # noqa: S311 - no secret
        self.first = (clock() - DAY).date()
        ids = []
        for _ in range(150):
            clock.advance(minutes=chance.randrange(1, 400))
            if chance.random() < 0.2:
                local = clock().astimezone(zone)
                midnight = datetime.combine(local.date() + DAY, datetime.min.time(), tzinfo=zone).astimezone(UTC)
                clock.now = midnight - chance.choice([INSTANT, timedelta(0)])
            self._take_a_step(services, actor, chance, ids, clock())
        clock.advance(hours=3)
        self.last = clock().astimezone(zone).date()

    def _take_a_step(self, services, actor, chance, ids, now):
        step = chance.random()
        if step < 0.35 or not ids:
            values = {"project": chance.choice(["GEN", "OPS"]), "status": chance.choice(list(TaskStatus))}
            created_at = now - chance.choice([0, 1, 3, 12, 200]) * DAY
            ids.append(services.tasks.create(actor, {"title": "One", "created_at": created_at, **values}).id)
            return
        task_id = chance.choice(ids)
        if services.task_views.get(actor, task_id).values["deleted_at"] is not None:
            services.tasks.restore(actor, task_id)
        elif step < 0.45:
            services.tasks.delete(actor, task_id)
        elif step < 0.55:
            services.tasks.change(actor, task_id, {"project": chance.choice(["GEN", "OPS"]), "title": f"At {now}"})
        else:
            services.tasks.change(actor, task_id, {"status": chance.choice([*ACTIVE_STATUSES, *TaskStatus])})


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def service(services, clock):
    return services.reports


@pytest.fixture
def history(services, mia, clock, zone):
    return History(services, mia, clock, ZoneInfo(zone))


@pytest.fixture
def mia(member):
    return member("mia", Role.MANAGER)
