"""What another project has is answered like what does not exist, wherever a request can name it.

Paths are in `test_every_cell`. Here are queries, bodies, forms and the cells of CSV files.
"""

import io
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from app.models.projects.project import ProjectMember
from app.models.tasks.task import Task
from app.services.imports.imports import ImportOptions
from docs.generator.contract import Contract
from tests.guards.access.routes import BODIES, operations, path_of, permission_of
from tests.guards.access.test_every_cell import fingerprint_of
from tests.guards.access.world import CALLERS, Caller, Role, Target, World

MEMBERS = [caller for caller in CALLERS if caller.name in {"viewer", "user", "manager"}]
# Parameters and fields that name something, and a value that names nothing.
MISSING = {
    "project": "NOWHERE",
    "ref": "NOWHERE-1",
    "external_ref": "nothing",
    "creator": "999999999",
    "assignee": "999999999",
    "assigned_user": "nobody-at-all",
    "task": "999999999",
}


class TestQueries:
    @pytest.mark.parametrize("caller", MEMBERS, ids=str)
    def test_find_nothing_of_another_project(self, app, contract, world_of, caller):
        world = world_of(caller)
        wrong, succeeded = [], set()
        for rule, method in operations(app):
            operation = contract.operation(method, path_of(rule, lambda name: f"{{{name}}}"))
            if method != "GET" or operation is None or permission_of(app, rule) not in caller.permissions:
                continue
            path = path_of(rule, world.named(Target.OWN, rule.rule))
            for name in MISSING.keys() & {each["name"] for each in operation.parameters if each["in"] == "query"}:
                hidden, missing = (
                    ask_with(world, path, operation, name, value) for value in (hidden_in(world)[name], MISSING[name])
                )
                if hidden != missing or "other project" in hidden[1]:
                    wrong.append(f"{operation} {name}")
                if hidden[0] == 200:
                    succeeded.add(name)

        assert wrong == []
        assert succeeded >= {"ref", "external_ref", "creator", "assignee", "task"}

    def test_find_what_is_theirs_for_an_admin(self, world_of):
        """Otherwise the test above could not fail."""
        world = world_of(Caller("admin", Role.ADMIN))

        for name in ("project", "ref", "external_ref", "creator", "assignee"):
            answer = world.client.get("/api/v1/tasks", query_string={name: hidden_in(world)[name]})
            assert "other project" in answer.text, name


class TestBodies:
    @pytest.mark.parametrize("caller", MEMBERS[1:], ids=str)
    def test_cannot_name_anything_of_another_project(self, app, contract, connection, world_of, caller):
        world = world_of(caller)
        before, wrong, asked = fingerprint_of(connection), [], set()
        for rule, method in operations(app):
            operation = contract.operation(method, path_of(rule, lambda name: f"{{{name}}}"))
            # The classic API creates tasks in the project that everybody is in.
            is_open_to_all = str(operation) == "POST /task"
            if operation is None or operation.body is None or is_open_to_all:
                continue
            if permission_of(app, rule) not in caller.permissions:
                continue
            path = path_of(rule, world.named(Target.OWN, rule.rule))
            for name in MISSING.keys() & (set(contract.resolved(operation.body[1])["properties"]) - {"external_ref"}):
                values = (
                    {**hidden_in(world), "assignee": world.users[Target.OTHER_PROJECT].username}[name],
                    MISSING[name],
                )
                answers = [send_with(world, method, path, operation, rule.rule, name, value) for value in values]
                asked.add(name)
                if answers[0] != answers[1] or answers[0][0] != 422:
                    wrong.append(f"{operation} {name}: {answers}")

        assert wrong == []
        assert asked >= {"project", "assignee"}
        assert fingerprint_of(connection) == before


class TestCells:
    def test_of_a_file_change_nothing_in_another_project(self, services, session, world_of, acting_as):
        """The columns name ids, refs and people of the other project, and the import updates what it finds."""
        world = world_of(Caller("manager", Role.MANAGER))
        theirs, stranger = world.tasks[Target.OTHER_PROJECT], world.users[Target.OTHER_PROJECT]
        before = values_of(session, theirs)
        newest_id = session.scalar(select(Task.id).order_by(Task.id.desc()).limit(1))
        heading = "id,ref,project,project_id,creator,creator_id,version,deleted_at,external_ref,title,assignee"
        taken_over = (
            theirs.id,
            f"{world.theirs.key}-1",
            world.theirs.key,
            world.theirs.id,
            stranger.username,
            stranger.id,
        )
        cells = (*taken_over, 7, "2026-01-01", theirs.external_ref, "Taken over", "")
        lines = (heading, ",".join(map(str, cells)), f",,,,,,,,,Given away,{stranger.username}")

        services.imports.import_csv(
            acting_as(world.me),
            io.BytesIO("\n".join([*lines, ""]).encode()),
            filename="theirs.csv",
            options=ImportOptions(project=world.ours.key, on_duplicate="update"),
            idempotency_key=None,
            wait_seconds=30,
        )

        assert values_of(session, theirs) == before
        made = session.scalars(select(Task).where(Task.id > newest_id)).all()
        assert [(task.title, task.project_id, task.creator_id) for task in made] == [
            ("Taken over", world.ours.id, world.me.id)
        ]
        assert (made[0].version, made[0].deleted_at) == (1, None)
        members = session.scalars(select(ProjectMember.user_id).where(ProjectMember.project_id == world.ours.id)).all()
        assert stranger.id not in members


def hidden_in(world):
    stranger, task = world.users[Target.OTHER_PROJECT], world.tasks[Target.OTHER_PROJECT]
    return {
        "project": world.theirs.key,
        "ref": f"{world.theirs.key}-{task.number}",
        "external_ref": task.external_ref,
        "creator": str(stranger.id),
        "assignee": str(stranger.id),
        "assigned_user": stranger.username,
        "task": str(task.id),
    }


def ask_with(world, path, operation, name, value):
    """The status and the text of an answer, in which the value itself does not stand."""
    today = datetime.now(UTC).date().isoformat()
    needed = {each["name"]: today for each in operation.parameters if each["in"] == "query" and each.get("required")}
    answer = world.client.get(path, query_string={**needed, name: value}, headers={"X-Request-ID": "the-same"})
    return answer.status_code, answer.text.replace(value, "…")


def send_with(world, method, path, operation, rule, name, value):
    if operation.body[0] == "multipart/form-data":
        sent = {"data": {name: value, "file": (io.BytesIO(b"task_name\nOne\n"), "one.csv")}}
    else:
        project = {"project": world.ours.key} if (method, rule) == ("POST", "/api/v1/tasks") else {}
        sent = {"json": {**BODIES.get((method, rule), {}), **project, name: value}}
    answer = world.client.request(method, path, headers={"X-Request-ID": "the-same"}, **sent)
    return answer.status_code, answer.text.replace(value, "…")


def values_of(session, task):
    session.refresh(task)
    return {column.key: getattr(task, column.key) for column in Task.__table__.columns if column.key != "search"}


@pytest.fixture
def contract(client):
    return Contract(client.get("/api/v1/openapi.json").text)


@pytest.fixture
def world_of(factories, client, services, session, clock):
    return lambda caller: World(caller, factories, client, services, session, clock)
