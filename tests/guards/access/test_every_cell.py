"""Each route, asked by everybody about everything: who is let in, and that a refusal changes nothing.

The routes come from the app, and the permissions from `app/auth/permissions.py`. What a permission reaches is written
out here, since the services are under test.
"""

from functools import partial

import pytest
from sqlalchemy import text

from app.auth.permissions import Permission
from app.models.every_table import metadata
from docs.generator.contract import Contract
from tests.guards.access.routes import nameless, operations, path_of, permission_of, send
from tests.guards.access.world import ANONYMOUS, CALLERS, Target, World

# A refusal may write when an API token was last used, and nothing else: it was valid, even if its scope was not
# sufficient. The ids of the outbox are drawn anew for a request that is made again after a rollback.
NOT_COMPARED = {"api_tokens": ["last_used_at"], "event_outbox": ["id"]}
# A refused log-in is counted, so that the next ones wait.
WRITTEN_BY_LOG_INS = {"login_attempts", "login_waits", "login_networks"}
# This route reads a token of another kind itself, and nothing of others can be named there.
REFRESH = "POST /api/v1/auth/refresh"
CHANGES_A_TASK = {"PUT", "PATCH", "DELETE"}


class TestEveryCell:
    @pytest.mark.parametrize("caller", CALLERS, ids=str)
    def test_lets_in_exactly_whom_the_rules_allow_and_changes_nothing_else(
        self, app, client, connection, redis, world_of, caller
    ):
        """A refusal changes nothing at all, and nothing changes a task of a project that the caller is not in."""
        world = world_of(caller)
        before, hidden = fingerprint_of(connection), hidden_tasks(connection, world)
        wrong, refused = {}, 0
        for rule, method, target in cells(app):
            expected = refusal_of(caller, permission_of(app, rule), rule.rule, method, target)
            path = path_of(rule, world.named(target, rule.rule))
            with connection.begin_nested() as moment:
                status = send(world.client, method, rule, path).status_code
                has_changed = hidden_tasks(connection, world) != hidden or (
                    status >= 400 and fingerprint_of(connection) != before
                )
                moment.rollback()
            # The cache would remember what has been rolled back.
            redis.flushdb()
            actual = status if status in {401, 403, 404} or status >= 500 else None
            if actual != expected or has_changed:
                wrong[f"{method} {rule.rule} ({target})"] = f"{status}, not {expected}" + ", changed" * has_changed
            refused += expected is not None

        assert wrong == {}
        assert refused

    def test_covers_every_operation_that_needs_a_token(self, app, client):
        contract = Contract(client.get("/api/v1/openapi.json").text)

        assert {nameless(f"{method} {rule.rule}") for rule, method, _target in cells(app)} == {
            nameless(str(operation)) for operation in contract.operations if operation.needs_token
        } - {REFRESH}

    @pytest.mark.parametrize(
        ("path", "target"),
        [
            ("/api/v1/users/<user:user_id>/reassign", Target.OTHER_PROJECT),
            ("/api/v1/users/<user:user_id>/merge", Target.DELETED),
        ],
        ids=["reassign", "merge"],
    )
    def test_a_task_passes_to_somebody_else_if_the_caller_may_do_so(self, app, session, world_of, path, target):
        """Otherwise no cell would show that nobody else's tasks do."""
        world = world_of(next(caller for caller in CALLERS if caller.name == "admin"))
        (rule,) = [rule for rule in app.url_map.iter_rules() if rule.rule == path]

        answer = send(world.client, "POST", rule, path_of(rule, world.named(target, path)))

        session.refresh(world.tasks[target])
        assert (answer.status_code, world.tasks[target].assignee_id) == (200, world.member.id)

    def test_a_change_anywhere_changes_the_fingerprint(self, connection, world_of):
        """Otherwise the test above could not fail."""
        world_of(ANONYMOUS)
        before = fingerprint_of(connection)
        unchanged = set()
        for table in metadata.sorted_tables:
            with connection.begin_nested() as moment:
                connection.execute(text("SET LOCAL session_replication_role = replica"))
                changed = connection.execute(table.delete()).rowcount
                if changed and fingerprint_of(connection) == before:
                    unchanged.add(table.name)
                moment.rollback()

        assert unchanged == set()
        assert fingerprint_of(connection) == before


class TestBulk:
    """One route changes many tasks, so each item has cells of its own."""

    VERBS = (
        {"patch": {"title": "New"}},
        {"move": {"status": "done"}},
        {"delete": True},
        {"restore": True},
        {"add_labels": ["new"]},
        {"remove_labels": ["new"]},
        {"assign": None},
    )

    @pytest.mark.parametrize("caller", CALLERS, ids=str)
    def test_an_item_is_answered_like_a_request_for_its_task_alone(self, connection, redis, world_of, caller):
        if Permission.TASK_UPDATE not in caller.permissions:
            pytest.skip("refused as a whole")
        world = world_of(caller)
        hidden, wrong = hidden_tasks(connection, world), {}
        for target in Target:
            for verb in self.VERBS:
                item = {"task": world.tasks[target].id, **verb}
                with connection.begin_nested() as moment:
                    answer = world.client.post("/api/v1/tasks/bulk", {"items": [item], "atomic": False})
                    has_changed = hidden_tasks(connection, world) != hidden
                    moment.rollback()
                redis.flushdb()
                (outcome,) = answer.json["items"]
                if outcome["status"] != self.status_of(caller, verb, target) or has_changed:
                    wrong[f"{verb} ({target})"] = f"{outcome}" + ", changed" * has_changed

        assert wrong == {}

    @staticmethod
    def status_of(caller, verb, target):
        permission = {"delete": Permission.TASK_DELETE, "restore": Permission.TASK_RESTORE}.get(*verb)
        if permission is not None and permission not in caller.permissions:
            return 403
        is_there = (target is Target.DELETED) is ("restore" in verb)
        return 200 if is_there and caller.is_in_project_of(target) else 404


class TestLogIns:
    @pytest.mark.parametrize("path", ["/login", "/api/v1/auth/login"])
    def test_a_refused_log_in_changes_nothing_but_its_count(self, client, connection, world_of, path):
        world = world_of(ANONYMOUS)
        before = fingerprints_of(connection)

        answer = client.post(path, {"username": world.me.username, "password": "not the password"})

        assert answer.status_code == 401
        after = fingerprints_of(connection)
        assert {name for name in before if before[name] != after[name]} <= WRITTEN_BY_LOG_INS


def cells(app):
    """Each operation with each target that its path can name."""
    for rule, method in operations(app):
        if permission_of(app, rule) is not None:
            for target in Target if rule.arguments else [Target.OWN]:
                yield rule, method, target


def refusal_of(caller, permission, rule, method, target):
    """The status of the refusal; None if the caller is let in."""
    if caller.role is None or not caller.is_active:
        return 401
    if permission not in caller.permissions:
        return 403
    return None if "<" not in rule else reach_of(rule)(caller, rule, method, target)


def reach_of(rule):
    if "<id:comment_id>" in rule:
        return refusal_of_comment
    if rule.startswith(("/api/v1/tasks/", "/task/<id:task_id>")):
        return refusal_of_task
    if "session_id" in rule or rule.startswith("/api/v1/auth/tokens"):
        return refusal_of_own
    if rule.startswith("/api/v1/users"):
        return refusal_of_user
    if rule.startswith("/api/v1/views/"):
        return refusal_of_view
    # Projects, imports and the rows of the daily log, which keeps deleted tasks.
    return refusal_of_project


def refusal_of_project(caller, _rule, _method, target):
    return None if caller.is_in_project_of(target) else 404


def refusal_of_task(caller, rule, method, target):
    """A deleted task is shown to whoever may restore it, and only restored."""
    is_deleted, restores = target is Target.DELETED, rule.endswith("/restore")
    if not caller.is_in_project_of(target):
        return 404
    is_written = method in CHANGES_A_TASK or (method == "POST" and rule.endswith(("/comments", "/move")))
    if restores or is_written:
        return None if is_deleted is restores else 404
    return 404 if is_deleted and Permission.TASK_RESTORE not in caller.permissions else None


def refusal_of_comment(caller, rule, method, target):
    """Whoever sees the task sees its comments. The author edits one, and a manager deletes or restores one too."""
    if rule.endswith("/restore"):
        return refusal_of_task(caller, rule.removesuffix("/restore"), "PATCH", target)
    refused = refusal_of_task(caller, rule, method, target)
    may_moderate = method == "DELETE" and Permission.COMMENT_MODERATE in caller.permissions
    if refused is None and method in CHANGES_A_TASK and target is not Target.OWN and not may_moderate:
        return 403
    return refused


def refusal_of_own(_caller, rule, _method, target):
    """Nobody sees those of others, not even an admin. A session ends once; a token may be revoked again."""
    is_own = target is Target.OWN or (target is Target.DELETED and "session_id" not in rule)
    return None if is_own else 404


def refusal_of_view(caller, rule, method, target):
    """A private view exists for its owner alone. Members see one of their project, and managers change it."""
    if target is Target.OWN:
        return None
    if target is Target.DELETED or not caller.is_in_project_of(target):
        return 404
    is_change = method in {"PATCH", "DELETE"} and not rule.endswith("/pin")
    return 403 if is_change and Permission.VIEW_MANAGE not in caller.permissions else None


def refusal_of_user(caller, rule, method, target):
    """Everybody may see themselves. Managers may see everybody, and admins may do everything with everybody."""
    if rule == "/api/v1/users/<user:user_id>" and method == "GET" and target is not Target.OWN:
        return None if Permission.USER_READ_ALL in caller.permissions else 403
    return None


def _statement():
    """One row for each table: its name, and a sum over its rows."""
    selects = []
    for table in metadata.sorted_tables:
        row = "to_jsonb(t)"
        for column in NOT_COMPARED.get(table.name, []):
            row += f" - '{column}'"
        selects.append(
            f"SELECT '{table.name}', count(*), coalesce(sum(hashtextextended(({row})::text, 0)), 0) FROM {table.name} t"
        )
    return " UNION ALL ".join(selects)


def fingerprints_of(connection):
    """A fingerprint of each table. Planning the statement would take longer than running it, so it is prepared."""
    if not connection.scalar(text("SELECT 1 FROM pg_prepared_statements WHERE name = 'fingerprints'")):
        connection.exec_driver_sql(f"PREPARE fingerprints AS {_statement()}")
    return {name: (count, total) for name, count, total in connection.exec_driver_sql("EXECUTE fingerprints")}


def fingerprint_of(connection):
    return frozenset(fingerprints_of(connection).items())


def hidden_tasks(connection, world):
    """Every task of the project that the caller is not in. From an admin nothing is hidden."""
    if world.hidden_project is None:
        return None
    statement = text("SELECT to_jsonb(t) FROM tasks t WHERE project_id = :project_id ORDER BY id")
    return connection.scalars(statement, {"project_id": world.hidden_project.id}).all()


@pytest.fixture
def world_of(factories, client, services, session, clock):
    return partial(World, factories=factories, client=client, services=services, session=session, clock=clock)
