"""Fields that no request may set: the schemas of the routes do not have them, and refuse them."""

import io
import secrets

import pytest
from sqlalchemy import inspect, select

from app.models.base import Base
from app.models.every_table import metadata
from app.models.imports.task_import import ImportState, TaskImport
from docs.generator.contract import Contract
from tests.guards.access.routes import BODIES, operations, path_of, permission_of
from tests.guards.access.test_every_cell import fingerprint_of
from tests.guards.access.world import Caller, Role, Target, World

ADMIN = Caller("admin", Role.ADMIN)
CLASSIC_UPLOAD = "/upload-csv"
# What the server alone decides. No schema of a request may have such a field.
DECIDED_BY_THE_SERVER = {
    "id",
    "version",
    "number",
    "project_id",
    "creator",
    "creator_id",
    "assignee_id",
    "owner_id",
    "user_id",
    "actor_id",
    "deleted_at",
    "updated_at",
    "started_at",
    "completed_at",
    "password_hash",
    "is_service",
    "includes_everyone",
    "last_task_number",
    "comment_count",
    "author",
    "author_id",
    "body_html",
    "edited_at",
    "digest",
    "revoked_at",
    "last_used_at",
    "session_id",
}
# Only an admin may send these.
DECIDED_BY_ADMINS = {"role", "is_active"}
BODIES_OF_PUBLIC_ROUTES = {
    ("POST", "/login"): {"username": "ada", "password": "not the password"},
    ("POST", "/api/v1/auth/login"): {"username": "ada", "password": "not the password"},
    ("POST", "/api/v1/auth/register"): {
        "username": "ada",
        "email": "ada@example.org",
        "password": "a long enough password",
    },
}


class TestSchemas:
    def test_no_request_has_a_field_that_the_server_decides(self, contract):
        named = {str(each): fields_of(contract, each) & DECIDED_BY_THE_SERVER for each in contract.operations}

        assert {name: fields for name, fields in named.items() if fields} == {}

    def test_only_admins_send_what_admins_decide(self, contract):
        permissions = {each.permission for each in contract.operations if fields_of(contract, each) & DECIDED_BY_ADMINS}

        assert permissions == {"user:manage"}


class TestEveryBody:
    def test_refuses_every_column_that_its_schema_does_not_have(
        self, app, contract, connection, factories, client, services, session, clock
    ):
        """By an admin, who may do everything else. The classic upload ignores unknown fields, as it always has."""
        world = World(ADMIN, factories, client, services, session, clock)
        before, accepted, asked = fingerprint_of(connection), {}, 0
        for rule, method, operation in operations_with_a_body(app, contract):
            if rule.rule == CLASSIC_UPLOAD:
                continue
            asking = world.client if permission_of(app, rule) is not None else client
            path = path_of(rule, world.named(Target.OWN, rule.rule))
            for name in sorted(
                (columns() | DECIDED_BY_THE_SERVER | DECIDED_BY_ADMINS) - fields_of(contract, operation)
            ):
                answer = ask(asking, method, path, operation, rule.rule, name)
                asked += 1
                if answer.status_code != 422:
                    accepted[f"{operation}: {name}"] = answer.status_code

        assert accepted == {}
        assert asked > 1000
        assert fingerprint_of(connection) == before

    def test_has_no_effect_on_the_classic_upload(self, factories, client, services, session, clock):
        world = World(ADMIN, factories, client, services, session, clock)
        stranger = world.users[Target.OTHER_PROJECT]
        form = {
            "project": world.theirs.key,
            "project_id": world.theirs.id,
            "creator_id": stranger.id,
            "state": "failed",
        }

        file = (io.BytesIO(b"task_name\nOne\n"), "one.csv")
        answer = world.client.request("POST", CLASSIC_UPLOAD, data={**form, "file": file})

        assert answer.status_code == 200
        newest = session.scalars(select(TaskImport).order_by(TaskImport.id.desc()).limit(1)).one()
        assert (newest.creator_id, newest.project_id) == (world.me.id, factories.general_project(session).id)
        assert newest.state is ImportState.FINISHED

    def test_has_no_effect_on_a_route_that_reads_none(
        self, app, contract, connection, redis, factories, client, services, session, clock, monkeypatch
    ):
        # Both requests draw the same token of a password reset.
        monkeypatch.setattr(secrets, "token_urlsafe", lambda _bytes: "drawn-twice")
        world = World(ADMIN, factories, client, services, session, clock)
        body = dict.fromkeys(sorted(DECIDED_BY_THE_SERVER | DECIDED_BY_ADMINS), 1)
        read = {(rule.rule, method) for rule, method, _operation in operations_with_a_body(app, contract)}
        different, asked = {}, 0
        for rule, method in operations(app):
            if method == "GET" or permission_of(app, rule) is None or (rule.rule, method) in read:
                continue
            path = path_of(
                rule, world.named(Target.DELETED if rule.rule.endswith("/restore") else Target.OWN, rule.rule)
            )
            outcomes = []
            for sent in ({}, {"json": body}):
                with connection.begin_nested() as moment:
                    # The history keeps the id.
                    status = world.client.request(method, path, headers={"X-Request-ID": "same"}, **sent).status_code
                    outcomes.append((status, fingerprint_of(connection)))
                    moment.rollback()
                redis.flushdb()
            asked += 1
            if outcomes[0] != outcomes[1] and outcomes[1][0] != 422:
                different[f"{method} {rule.rule}"] = [status for status, _fingerprint in outcomes]

        assert different == {}
        assert asked


def columns():
    return {str(column.name) for table in metadata.sorted_tables for column in table.columns} | {
        attribute.key for mapper in Base.registry.mappers for attribute in inspect(mapper.class_).column_attrs
    }


def fields_of(contract, operation):
    return set() if operation.body is None else set(contract.resolved(operation.body[1])["properties"])


def operations_with_a_body(app, contract):
    for rule, method in operations(app):
        operation = contract.operation(method, path_of(rule, lambda name: f"{{{name}}}"))
        if operation is not None and operation.body is not None:
            yield rule, method, operation


def ask(client, method, path, operation, rule, name):
    if operation.body[0] == "multipart/form-data":
        form = {name: "1", "file": (io.BytesIO(b"task_name\nOne\n"), "one.csv")}
        return client.request(method, path, data=form)
    body = {**BODIES, **BODIES_OF_PUBLIC_ROUTES}.get((method, rule), {})
    return client.request(method, path, json={**body, name: 1})


@pytest.fixture
def contract(client):
    return Contract(client.get("/api/v1/openapi.json").text)
