"""The clock of the app and the clock of the history are different ones, here as in production."""

from datetime import datetime

import pytest

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.composition.services import serving
from app.models.people.user import Role
from app.queries.tasks import TaskQuery
from tests import servers
from tests.fakes import FakeJobQueue
from tests.settings import make_settings


class TestListAsOfTheTimeOfAChange:
    def test_has_a_new_task(self, services, admin):
        task = services.tasks.create(admin, {"title": "New"})

        assert self.ids_as_of_change(services, admin, task) == [task.id]

    def test_has_a_changed_task_as_it_was_changed(self, services, admin):
        task = services.tasks.create(admin, {"title": "Old"})

        changed = services.tasks.change(admin, task.id, {"title": "Changed"})

        assert self.list_as_of_change(services, admin, changed)[0]["title"] == "Changed"

    def ids_as_of_change(self, services, admin, task):
        return [each["id"] for each in self.list_as_of_change(services, admin, task)]

    @staticmethod
    def list_as_of_change(services, admin, task):
        query = TaskQuery(as_of=datetime.fromisoformat(task.values["updated_at"]))
        return services.task_views.list_page(admin, query)[0].items


@pytest.fixture
def services(postgres_url, redis_url, redis):
    with servers.migrated_database(postgres_url) as url:
        resources = Resources(make_settings(url, redis_url), job_queue=FakeJobQueue())
        with serving(resources) as services:
            yield services
        resources.engine.dispose()


@pytest.fixture
def admin(services):
    services.people.create_first_admin(username="admin", email="admin@example.org", password="a password of the tests")
    grant = services.login.log_in(login="admin", password="a password of the tests", address="127.0.0.1")
    return Actor(grant.user_id, "admin", Role.ADMIN, frozenset(), grant.session_id)
