import io
import json
import logging
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text

from app.auth.api_tokens import digest_of, new_token
from app.composition.resources import Resources
from app.composition.services import services
from app.factory import create_app
from app.log_lines import init_logging
from app.settings import psycopg2_url
from tests import servers
from tests.client import Client
from tests.factories import PASSWORD
from tests.fakes import FakeJobQueue

TASK_ROUTE = "/api/v1/tasks/<task:task_id>"


class TestRequests:
    def test_are_counted_by_method_route_and_status(self, client, admin, numbers):
        as_admin = client.acting_as(admin)
        task_id = as_admin.post("/api/v1/tasks", {"title": "Counted"}).json["id"]
        for _ in range(2):
            as_admin.get(f"/api/v1/tasks/{task_id}")
        client.get(f"/api/v1/tasks/{task_id}")

        assert numbers.requests() == {
            ("POST", "/api/v1/tasks", "201"): 1,
            ("GET", TASK_ROUTE, "200"): 2,
            ("GET", TASK_ROUTE, "401"): 1,
        }

    @pytest.mark.parametrize(
        ("path", "status"),
        [("/api/v1/tasks/123456", "404"), ("/api/v1/tasks/ops-1", "404"), ("/api/v1/tasks/123456?zebra=1", "422")],
    )
    def test_are_labelled_with_the_template_and_never_with_the_path(self, client, admin, numbers, path, status):
        client.acting_as(admin).get(path)

        assert numbers.requests() == {("GET", TASK_ROUTE, status): 1}
        assert "123456" not in numbers.labels()
        assert "zebra" not in numbers.labels()

    @pytest.mark.parametrize("path", ["/zebra", "/api/v1/zebra/7", "/api/v1/tasks/zebra", "/%00zebra"])
    def test_for_unknown_paths_share_one_label(self, client, numbers, path):
        status = client.get(path).status_code

        assert numbers.requests() == {("GET", "unmatched", str(status)): 1}
        assert "zebra" not in numbers.labels()

    def test_with_a_method_that_the_route_does_not_allow_are_unmatched(self, client, numbers):
        client.delete("/healthz")

        assert numbers.requests() == {("DELETE", "unmatched", "405"): 1}

    @pytest.mark.parametrize("method", ["BREW", "X" * 1000])
    def test_with_unknown_methods_share_one_label(self, client, numbers, method):
        client.request(method, "/healthz")

        ((counted_method, _, _),) = numbers.requests()
        assert counted_method == "OTHER"

    def test_that_fail_are_counted(self, app, client, numbers):
        app.add_url_rule("/broken", "broken", broken)

        client.get("/broken")

        assert numbers.requests() == {("GET", "/broken", "500"): 1}

    def test_are_timed_by_method_and_route(self, app, client, numbers):
        app.add_url_rule("/slow", "slow", wait_for_the_database)

        client.get("/slow")
        client.get("/healthz")

        name, labels = "tasktrackerpro_http_request_duration_seconds", {"method": "GET", "route": "/slow"}
        assert numbers.get(f"{name}_count", **labels) == 1
        assert 0.15 <= numbers.get(f"{name}_sum", **labels) < 10
        assert numbers.get(f"{name}_bucket", **labels, le="0.1") == 0
        assert numbers.get(f"{name}_bucket", **labels, le="30.0") == 1
        assert numbers.get(f"{name}_count", method="GET", route="/healthz") == 1


class TestCacheLookups:
    def test_are_counted_as_hits_or_misses_by_space(self, client, admin, numbers):
        as_admin = client.acting_as(admin)
        for _ in range(3):
            as_admin.get("/api/v1/tasks")
        as_admin.get("/api/v1/task-logs")

        assert numbers.lookups("tasks") == (2, 1)
        assert numbers.lookups("task_logs") == (0, 1)
        assert numbers.lookups("actors") == (3, 1)

    def test_are_misses_again_after_a_change(self, client, admin, numbers):
        as_admin = client.acting_as(admin)
        as_admin.get("/api/v1/tasks")
        as_admin.post("/api/v1/tasks", {"title": "New"})
        as_admin.get("/api/v1/tasks")

        assert numbers.lookups("tasks") == (0, 2)


class TestConnections:
    def test_are_in_use_during_a_request_only(self, own_api):
        in_use = []
        own_api.route("/busy", lambda: (own_api.take_connection(), in_use.append(own_api.in_use()), "done")[-1])

        own_api.client.get("/busy")
        own_api.client.get("/readyz")

        assert in_use == [1]
        assert own_api.in_use() == 0

    def test_are_not_in_use_after_a_failed_request(self, own_api):
        in_use = []

        def break_in_a_transaction():
            own_api.take_connection()
            in_use.append(own_api.in_use())
            broken()

        own_api.route("/broken", break_in_a_transaction)

        assert own_api.client.get("/broken").status_code == 500

        assert in_use == [1]
        assert own_api.in_use() == 0

    def test_are_not_in_use_after_the_server_closed_them(self, own_api):
        own_api.client.get("/readyz")

        own_api.hang_up()

        assert own_api.client.get("/readyz").json["checks"]["database"]["ok"]
        assert own_api.in_use() == 0

    def test_count_as_zero_while_the_database_is_away_and_afterwards(self, own_api):
        own_api.client.get("/readyz")
        with own_api.database_away():
            for _ in range(3):
                assert not own_api.client.get("/readyz").json["checks"]["database"]["ok"]
            assert own_api.in_use() == 0

        assert own_api.client.get("/readyz").json["checks"]["database"]["ok"]
        assert own_api.in_use() == 0

    def test_have_a_metric_for_their_limit(self, own_api):
        assert own_api.limit() == own_api.resources.settings.database_pool_size


class TestLogLine:
    def test_describes_the_request_and_its_answer(self, client, admin, log):
        answer = client.acting_as(admin).get("/api/v1/tasks/123456?zebra=1", headers={"X-Request-ID": "trace-me.1"})

        (line,) = log.requests()
        assert line.pop("timestamp").endswith("Z")
        assert 0 <= line.pop("duration_ms") < 60_000
        assert line == {
            "event": "request",
            "level": "info",
            "logger": "tasktrackerpro.requests",
            "request_id": "trace-me.1",
            "method": "GET",
            "path": "/api/v1/tasks/123456",
            "route": TASK_ROUTE,
            "status": 422,
            "address": "127.0.0.1",
            "user_id": admin.id,
        }
        assert answer.headers["X-Request-ID"] == "trace-me.1"

    @pytest.mark.parametrize("sent_id", [None, "", "two words", "x" * 65, 'quo"te'])
    def test_has_the_same_id_as_the_answer(self, client, log, sent_id):
        answer = client.get("/api/v1/tasks", headers={} if sent_id is None else {"X-Request-ID": sent_id})

        (line,) = log.requests()
        assert line["request_id"] == answer.headers["X-Request-ID"] != sent_id

    def test_has_no_user_when_the_user_is_unknown(self, client, log):
        client.get("/api/v1/tasks")

        (line,) = log.requests()
        assert (line["status"], line["user_id"]) == (401, None)

    def test_names_the_api_token_by_its_id(self, client, admin, factories, log):
        token = new_token()
        token_id = factories.ApiToken(owner_id=admin.id, token=token).id

        client.sending(token).get("/api/v1/tasks")
        client.acting_as(admin).get("/api/v1/tasks")

        with_token, without_token = log.requests()
        assert (with_token["user_id"], with_token["token_id"]) == (admin.id, token_id)
        assert "token_id" not in without_token
        assert token not in log.text()

    def test_is_written_for_unknown_paths_and_failed_requests(self, app, client, log):
        app.add_url_rule("/broken", "broken", broken)

        client.get("/zebra")
        client.request("BREW", "/zebra")
        client.get("/broken")

        assert [(line["method"], line["path"], line["route"], line["status"]) for line in log.requests()] == [
            ("GET", "/zebra", "unmatched", 404),
            ("BREW", "/zebra", "unmatched", 404),
            ("GET", "/broken", "/broken", 500),
        ]

    def test_of_a_failed_request_shares_its_id_with_the_error(self, app, client, log):
        app.add_url_rule("/broken", "broken", broken)

        client.get("/broken", headers={"X-Request-ID": "trace-me.2"})

        (error,) = [line for line in log.lines() if line["level"] == "error"]
        assert error["request_id"] == "trace-me.2"
        assert "broken on purpose" in error["exception"]

    def test_is_one_line_for_any_path(self, client, log):
        client.get('/zebra%0A{"event": "forged"}%0D%1b[31m')

        (line,) = log.requests()
        assert line["path"] == '/zebra\n{"event": "forged"}\r\x1b[31m'

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readyz?exclude=beat", "/metrics"])
    def test_is_not_written_for_probes(self, client, log, path):
        client.get(path)

        assert log.requests() == []

    def test_is_not_written_above_its_level(self, client, log):
        log.set_level("WARNING")

        client.get("/api/v1/tasks")

        assert log.requests() == []


class TestPrivateValues:
    """Nothing secret is logged, even at the level that logs most."""

    def test_a_password_is_not_logged(self, client, factories, log):
        user = factories.User()

        for password in (PASSWORD, "zebra-password"):
            client.post("/login", {"username": user.username, "password": password})
            client.post("/api/v1/auth/login", {"username": user.username, "password": password})
        client.post("/login", {"username": user.username, "zebra-field": PASSWORD})

        assert [line["status"] for line in log.requests()] == [200, 200, 401, 401, 422]
        for word in (PASSWORD, "zebra", user.password_hash, "argon2"):
            assert word not in log.text()

    def test_a_token_is_not_logged(self, client, admin, factories, log):
        login = {"username": factories.User().username, "password": PASSWORD}
        pair = client.post("/api/v1/auth/login", login).json
        as_admin = client.acting_as(admin)
        as_admin.get("/api/v1/tasks")
        headers = {"Authorization": f"Bearer {pair['refresh_token']}"}
        renewed = client.post("/api/v1/auth/refresh", headers=headers).json
        client.get("/api/v1/tasks", headers={"Authorization": "Bearer zebra.zebra.zebra"})
        client.get("/metrics", headers={"Authorization": "Bearer zebra"})

        assert [line["status"] for line in log.requests()] == [200, 200, 200, 401]
        tokens = (pair["access_token"], pair["refresh_token"], renewed["access_token"], renewed["refresh_token"])
        assert not [token for token in tokens if token in log.text() or token.split(".")[2] in log.text()]
        assert "zebra" not in log.text()
        assert "Bearer" not in log.text()

    def test_an_api_token_is_not_logged(self, client, admin, log):
        token_input = {"name": "zebra", "scopes": ["tasks:read"]}
        made = client.acting_as(admin).post("/api/v1/auth/tokens", token_input).json
        client.sending(made["token"]).get("/api/v1/tasks")
        client.acting_as(admin).delete(f"/api/v1/auth/tokens/{made['id']}")
        client.sending(made["token"]).get("/api/v1/tasks")
        invented = new_token()
        client.sending(invented).get("/api/v1/tasks")

        assert [line["status"] for line in log.requests()] == [201, 200, 204, 401, 401]
        for word in (made["token"], invented, "zebra", digest_of(made["token"]).hex(), digest_of(invented).hex()):
            assert word not in log.text()

    @pytest.mark.parametrize("query", ["assignee=zebra", "zebra=1", "status=zebra", "cursor=zebra", "zebra%00=1"])
    def test_a_query_string_is_not_logged(self, client, admin, log, query):
        client.acting_as(admin).get(f"/api/v1/tasks?{query}")

        assert len(log.requests()) == 1
        assert "zebra" not in log.text()

    def test_a_body_is_not_logged(self, client, admin, log):
        as_admin = client.acting_as(admin)
        as_admin.post("/api/v1/tasks", {"title": "zebra", "description": "zebra"})
        as_admin.post("/api/v1/tasks", {"title": "zebra", "zebra": "zebra"})
        as_admin.post("/api/v1/tasks", {"title": "zebra", "project": "ZEBRA"})

        assert len(log.requests()) == 3
        assert "zebra" not in log.text().lower()

    def test_a_header_is_not_logged(self, client, log):
        client.get("/api/v1/tasks", headers={"Cookie": "zebra=1", "Referer": "http://zebra/", "User-Agent": "zebra"})

        assert len(log.requests()) == 1
        assert "zebra" not in log.text()


def broken():
    raise LookupError("broken on purpose")


def wait_for_the_database():
    services()._session.execute(text("SELECT pg_sleep(0.2)"))
    return "done"


class Numbers:
    """The values of the metrics so far."""

    def __init__(self, metrics):
        self._metrics = metrics

    def get(self, name, **labels):
        return self._metrics.registry().get_sample_value(name, labels)

    def requests(self):
        return {
            (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
            for sample in self._samples()
            if sample.name == "tasktrackerpro_http_requests_total"
        }

    def lookups(self, space):
        """Return the hits and the misses of a space."""
        counts = (self.get("tasktrackerpro_cache_lookups_total", space=space, result=each) for each in ("hit", "miss"))
        return tuple(int(count or 0) for count in counts)

    def labels(self):
        return " ".join(value for sample in self._samples() for value in sample.labels.values())

    def _samples(self):
        return [sample for family in self._metrics.registry().collect() for sample in family.samples]


class Log:
    """The log since its level was last set."""

    def set_level(self, level):
        self._output = io.StringIO()
        init_logging(level, write_line=lambda line: self._output.write(f"{line}\n"))

    def text(self):
        return self._output.getvalue()

    def lines(self):
        return [json.loads(line) for line in self.text().splitlines()]

    def requests(self):
        return [line for line in self.lines() if line["logger"] == "tasktrackerpro.requests"]


class OwnApi:
    """An api with connections of its own to a database that can be closed to it."""

    def __init__(self, settings, server_url, url):
        self.resources = Resources(replace(settings, database_url=url), job_queue=FakeJobQueue())
        self._app = create_app(self.resources.settings, resources=self.resources)
        self.client = Client(self._app)
        self._admin = create_engine(psycopg2_url(server_url), isolation_level="AUTOCOMMIT")
        self._name = self.resources.engine.url.database

    def route(self, path, view):
        self._app.add_url_rule(path, path, view)

    def take_connection(self):
        services()._session.execute(text("SELECT 1"))

    def in_use(self):
        return Numbers(self.resources.metrics).get("tasktrackerpro_database_connections_in_use")

    def limit(self):
        return Numbers(self.resources.metrics).get("tasktrackerpro_database_connections_limit")

    def hang_up(self):
        self._administer(
            f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{self._name}'"
        )

    def database_away(self):
        return _ClosedDatabase(self)

    def allow_connections(self, is_allowed):
        self._administer(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS {str(is_allowed).lower()}")

    def close(self):
        self.resources.engine.dispose()
        self._admin.dispose()

    def _administer(self, statement):
        with self._admin.connect() as connection:
            connection.execute(text(statement))


class _ClosedDatabase:
    def __init__(self, own_api):
        self._own = own_api

    def __enter__(self):
        self._own.allow_connections(False)
        self._own.hang_up()

    def __exit__(self, *_args):
        self._own.allow_connections(True)


@pytest.fixture
def app(settings, resources):
    """An app to which tests add routes."""
    return create_app(settings, resources=resources)


@pytest.fixture
def numbers(resources):
    return Numbers(resources.metrics)


@pytest.fixture
def log(client):
    root, celery = logging.getLogger(), logging.getLogger("celery")
    handlers, level, celery_level = root.handlers, root.level, celery.level
    log = Log()
    log.set_level("DEBUG")
    yield log
    root.handlers = handlers
    root.setLevel(level)
    celery.setLevel(celery_level)


@pytest.fixture
def own_api(base_settings, postgres_url, redis):
    with servers.migrated_database(postgres_url) as url:
        own_api = OwnApi(base_settings, postgres_url, url)
        yield own_api
        own_api.close()
