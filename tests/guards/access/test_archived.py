"""Every route that names an archived project or one of its tasks: reading is as before, and writing is refused."""

import pytest
from sqlalchemy import text

from app.models.people.user import Role
from tests.guards.access.routes import operations, path_of, send
from tests.guards.access.test_every_cell import fingerprint_of
from tests.guards.access.world import CALLERS, Caller, Target, World

# These do not write into the project.
ALLOWED = {
    *("/api/v1/projects/<key>/archive", "/api/v1/projects/<key>/unarchive"),
    # Whoever follows a task changes nothing in the project, and the comment is not deleted.
    "/api/v1/tasks/<task:task_id>/followers/me",
    "/api/v1/tasks/<task:task_id>/comments/<id:comment_id>/restore",
}
ADMIN = Caller("admin", Role.ADMIN)
STRANGERS = [caller for caller in CALLERS if caller.has_left]


class TestArchivedProject:
    def test_every_write_is_refused_and_every_read_is_answered(self, app, connection, world):
        before, wrong, refused = fingerprint_of(connection), {}, 0
        for rule, method in routes(app):
            target = Target.DELETED if rule.rule.endswith("/restore") else Target.OWN
            with connection.begin_nested() as moment:
                answer = send(world.client, method, rule, path_of(rule, world.named(target, rule.rule)))
                has_changed = fingerprint_of(connection) != before
                moment.rollback()
            if method == "GET":
                is_right = answer.status_code == 200
            else:
                is_right = answer.status_code == 409 and "the project OURS is archived" in answer.text
                refused += 1
            if not is_right or has_changed:
                wrong[f"{method} {rule.rule}"] = f"{answer.status_code} {answer.text[:80]}"

        assert wrong == {}
        assert refused >= 12

    @pytest.mark.parametrize("caller", STRANGERS, ids=str)
    def test_a_stranger_does_not_learn_that_it_is_archived(self, app, world_of, caller):
        world = world_of(caller)
        statuses = {
            send(world.client, method, rule, path_of(rule, world.named(Target.OWN, rule.rule))).status_code
            for rule, method in routes(app)
        }

        assert statuses <= {403, 404}


def routes(app):
    for rule, method in operations(app):
        if rule.arguments & {"task_id", "key"} and rule.rule not in ALLOWED:
            yield rule, method


@pytest.fixture
def world_of(factories, client, services, session, clock, connection):
    def make(caller):
        world = World(caller, factories, client, services, session, clock)
        connection.execute(text("UPDATE projects SET archived_at = now() WHERE key = 'OURS'"))
        return world

    return make


@pytest.fixture
def world(world_of):
    return world_of(ADMIN)
