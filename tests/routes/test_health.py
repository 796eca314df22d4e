import tomllib
from contextlib import ExitStack
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from sqlalchemy import text

from app.composition.resources import Resources
from app.database.engine import make_session_factory
from app.factory import create_app
from app.job_queue import JobName
from app.models.health.sighting import BackgroundProcess, JobResult
from app.release import VERSION
from tests.client import Client
from tests.factories import PASSWORD
from tests.fakes import FakeJobQueue, SilentJobQueue
from tests.servers import ROOT

TOKEN = "6fd1a0c35b7e4d8c9f02b1a7e3d4c5f6"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
CHECKS = ["database", "migrations", "redis", "broker", "worker", "beat", "daily_log"]


class TestHealthz:
    def test_a_process_that_answers_is_healthy(self, client):
        answer = client.get("/healthz")

        assert (answer.status_code, answer.json) == (200, {"status": "ok"})


class TestVersion:
    def test_names_the_release(self, client):
        answer = client.get("/version")

        assert (answer.status_code, answer.json) == (
            200,
            {"version": VERSION, "commit": None, "estimate_unit": "points"},
        )

    def test_names_the_commit_that_the_build_names(self, settings, resources):
        app = create_app(replace(settings, release_commit="3dfcd45"), resources=resources)

        assert Client(app).get("/version").json["commit"] == "3dfcd45"

    def test_is_the_version_of_the_package(self):
        package = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

        assert package["project"]["version"] == VERSION


class TestReadyz:
    def test_is_ready_when_every_check_passes(self, client, all_processes_seen):
        answer = client.get("/readyz")

        assert answer.status_code == 200
        assert answer.json == {"status": "ready", "checks": {name: {"ok": True, "reason": None} for name in CHECKS}}

    def test_a_failed_check_is_reported_with_its_reason(self, client, all_processes_seen, connection):
        connection.execute(text("DELETE FROM sightings WHERE part = 'beat'"))

        answer = client.get("/readyz")

        assert (answer.status_code, answer.json["status"]) == (503, "not ready")
        assert answer.json["checks"]["beat"] == {"ok": False, "reason": "was never seen"}
        assert [name for name, check in answer.json["checks"].items() if check["ok"]] == [*CHECKS[:-2], "daily_log"]

    def test_names_an_empty_database_and_other_requests_get_503(self, client, connection):
        connection.execute(text("DROP TABLE alembic_version, login_waits CASCADE"))

        readiness, log_in = client.get("/readyz"), client.post("/login", {"username": "ada", "password": PASSWORD})

        assert readiness.status_code == 503
        assert readiness.json["checks"]["database"] == {"ok": True, "reason": None}
        assert readiness.json["checks"]["migrations"]["reason"] == "the database is empty; run `python main.py prepare`"
        assert (log_in.status_code, log_in.headers["Retry-After"]) == (503, "2")

    def test_excluded_checks_are_left_out(self, client):
        assert client.get("/readyz?exclude=worker").status_code == 503

        answer = client.get("/readyz?exclude=worker&exclude=beat")

        assert (answer.status_code, answer.json["status"]) == (200, "ready")
        assert list(answer.json["checks"]) == ["database", "migrations", "redis", "broker", "daily_log"]

    def test_all_checks_may_be_excluded(self, client):
        answer = client.get("/readyz?" + "&".join(f"exclude={name}" for name in CHECKS))

        assert (answer.status_code, answer.json) == (200, {"status": "ready", "checks": {}})

    @pytest.mark.parametrize("query", ["exclude=printer", "exclude=worker&exclude=printer", "exclude=", "without=beat"])
    def test_an_unknown_check_cannot_be_excluded(self, client, query):
        answer = client.get(f"/readyz?{query}")

        assert (answer.status_code, answer.content_type) == (422, "application/problem+json")

    def test_a_stopping_process_is_not_ready(self, client, app, all_processes_seen):
        app.extensions["draining"].begin(60)

        answer = client.get("/readyz")

        assert (answer.status_code, answer.json["status"]) == (503, "stopping")
        assert all(check["ok"] for check in answer.json["checks"].values())
        assert client.get("/healthz").status_code == 200


class TestMetrics:
    def test_are_text_by_default(self, client, all_processes_seen):
        answer = client.get("/metrics")

        assert answer.status_code == 200
        assert answer.content_type.startswith("text/plain; version=")
        families = {family.name: family for family in parse_text(answer.text)}
        assert values_of(families["tasktrackerpro_up"], "check") == dict.fromkeys(CHECKS, 1.0)

    def test_are_openmetrics_on_request(self, client, all_processes_seen):
        answer = client.get("/metrics", headers={"Accept": OPENMETRICS})

        assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0")
        assert answer.text.endswith("# EOF\n")
        families = {family.name: family for family in parse_openmetrics(answer.text)}
        assert values_of(families["tasktrackerpro_up"], "check") == dict.fromkeys(CHECKS, 1.0)

    def test_contain_what_has_happened(self, client, services, job_queue):
        services.health.count_job("imports.run_waiting", JobResult.SUCCEEDED, seconds=1.5)
        services.health.count_job("imports.run_waiting", JobResult.FAILED, seconds=0.5)
        job_queue.enqueue(JobName.RUN_IMPORTS)
        client.get("/healthz")

        values = samples(client)

        job = (("name", "imports.run_waiting"),)
        assert values["tasktrackerpro_jobs_total", (*job, ("result", "succeeded"))] == 1
        assert values["tasktrackerpro_jobs_total", (*job, ("result", "failed"))] == 1
        assert values["tasktrackerpro_job_seconds_total", (*job, ("result", "succeeded"))] == 1.5
        assert values["tasktrackerpro_job_queue_length", ()] == 1
        assert values["tasktrackerpro_import_rows_total", (("result", "created"),)] == 0
        assert values["tasktrackerpro_imports", (("state", "loading"),)] == 0
        labels = (("method", "GET"), ("route", "/healthz"), ("status", "200"))
        assert values["tasktrackerpro_http_requests_total", labels] == 1

    def test_every_family_appears_once(self, client, all_processes_seen):
        answer = client.get("/metrics")

        names = [line.split()[2] for line in answer.text.splitlines() if line.startswith("# TYPE")]
        assert len(names) == len(set(names))

    def test_are_available_while_the_schema_is_outdated(self, client, connection):
        connection.execute(text("DELETE FROM alembic_version"))

        values = samples(client)

        assert values["tasktrackerpro_up", (("check", "migrations"),)] == 0
        assert not [name for name, _ in values if name == "tasktrackerpro_import_rows_total"]

    def test_leave_out_a_queue_that_cannot_be_measured(self, make_client):
        values = samples(make_client(job_queue=SilentJobQueue()))

        assert values["tasktrackerpro_up", (("check", "broker"),)] == 0
        assert ("tasktrackerpro_job_queue_length", ()) not in values

    def test_contain_no_names_titles_or_secrets(self, make_client, admin, settings):
        client = make_client(metrics_token=TOKEN)
        as_admin = client.acting_as(admin)
        task_id = as_admin.post("/api/v1/tasks", {"title": "Zebra crossing"}).json["id"]
        as_admin.get(f"/api/v1/tasks/{task_id}?zebra=1")
        client.get("/zebra")
        client.post("/login", {"username": admin.username, "password": PASSWORD})

        text = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text

        assert 'route="/api/v1/tasks/<task:task_id>"' in text
        secrets = (TOKEN, settings.jwt_secret_key, settings.database_url, settings.redis_url, PASSWORD)
        for word in (*secrets, "test-password", "zebra", admin.username, admin.email, f"/{task_id}"):
            assert word not in text.lower()


class TestMetricsToken:
    def test_is_not_required_when_none_is_set(self, client):
        assert client.get("/metrics").status_code == 200
        assert client.get("/metrics", headers={"Authorization": "Bearer whatever"}).status_code == 200

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_the_right_token_opens_the_metrics(self, make_client, scheme):
        """The name of a scheme has no case (RFC 9110 §11.1)."""
        answer = make_client(metrics_token=TOKEN).get("/metrics", headers={"Authorization": f"{scheme} {TOKEN}"})

        assert answer.status_code == 200
        assert "tasktrackerpro_up" in answer.text

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": ""},
            {"Authorization": "Bearer "},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Bearer {TOKEN[:-1]}"},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": f"Bearer {TOKEN.upper()}"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": TOKEN},
            {"Authorization": "Bearer \xe9\xff"},
        ],
        ids=["none", "empty", "no token", "wrong", "cut", "longer", "upper case", "basic", "no scheme", "not ASCII"],
    )
    def test_any_other_header_is_refused(self, make_client, headers):
        answer = make_client(metrics_token=TOKEN).get("/metrics", headers=headers)

        assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json["code"] == "scrape_token_wrong"
        assert "tasktrackerpro_up" not in answer.text
        assert TOKEN not in answer.text

    def test_the_token_of_a_user_is_refused(self, make_client, admin):
        assert make_client(metrics_token=TOKEN).acting_as(admin).get("/metrics").status_code == 401

    def test_the_metrics_token_opens_nothing_else(self, make_client):
        client = make_client(metrics_token=TOKEN)

        assert client.get("/api/v1/tasks", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
        assert client.get("/readyz?exclude=worker&exclude=beat").status_code == 200


def values_of(family, label):
    return {sample.labels[label]: sample.value for sample in family.samples}


def samples(client):
    """Return the value of each sample by its name and its labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(answer.text)
        for sample in family.samples
    }


@pytest.fixture
def all_processes_seen(services):
    for part in BackgroundProcess:
        services.health.see(part)


@pytest.fixture
def make_client(settings, connection, factories, redis):
    """Make a client of an api with other settings, or with another queue."""
    with ExitStack() as stack:

        def make(*, job_queue=None, **changes):
            resources = Resources(replace(settings, **changes), job_queue=job_queue or FakeJobQueue())
            resources.new_session = make_session_factory(connection)
            stack.callback(resources.engine.dispose)
            return Client(create_app(resources.settings, resources=resources))

        yield make
