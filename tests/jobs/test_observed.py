"""The traces that a real worker and a real beat leave of each job: log lines, metrics, sightings and a touched file."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg2
import pytest
from redis import Redis

from app.composition.resources import Resources
from app.composition.services import serving
from app.factory import create_app
from app.job_queue import CeleryJobQueue, JobName
from app.jobs.celery_app import make_celery
from tests import servers
from tests.client import Client
from tests.servers import ROOT, wait_for

PASSWORD = "a password of the tests"
LOG_DAYS = JobName.LOG_DUE_DAYS.value


class TestReadiness:
    def test_needs_a_worker_and_a_beat(self, stage):
        before = stage.client.get("/readyz")
        assert (before.status_code, stage.failed_checks()) == (
            503,
            {"worker": "was never seen", "beat": "was never seen"},
        )

        stage.start("worker")
        assert wait_for(lambda: stage.failed_checks() == {"beat": "was never seen"}, seconds=90)
        stage.start("beat")
        assert wait_for(lambda: stage.failed_checks() == {}, seconds=90)

        answer = stage.client.get("/readyz")
        assert (answer.status_code, answer.json["status"]) == (200, "ready")

    def test_beat_is_ready_without_a_worker(self, stage):
        stage.start("beat")

        assert wait_for(lambda: stage.failed_checks() == {"worker": "was never seen"}, seconds=90)
        # Beat sends messages, and no worker takes them.
        assert wait_for(lambda: stage.number("job_queue_length") > 0, seconds=90)


class TestAliveFile:
    @pytest.mark.parametrize("process_name", ["worker", "beat"])
    def test_is_touched_again_and_again(self, stage, process_name):
        stage.start(process_name)

        assert wait_for(stage.alive_file(process_name).exists, seconds=90)
        stage.alive_file(process_name).unlink()

        assert wait_for(stage.alive_file(process_name).exists, seconds=90)


class TestOrdinaryJobs:
    def test_have_the_id_of_the_request_that_asked_for_them(self, working):
        answer = working.ask_for_log("trace-me.1")

        assert (answer.status_code, answer.headers["X-Request-ID"]) == (202, "trace-me.1")
        assert wait_for(lambda: working.lines(request_id="trace-me.1"), seconds=90)
        (line,) = working.lines(request_id="trace-me.1")
        assert (line["job"], line["level"], line["logger"]) == (LOG_DAYS, "info", "app.services.daily_log.days")

    def test_each_have_the_id_of_their_own_request(self, working):
        line_count = len(working.lines(job=LOG_DAYS))

        for number in range(3):
            assert working.ask_for_log(f"one-of-many.{number}").status_code == 202
            assert wait_for(lambda number=number: working.lines(request_id=f"one-of-many.{number}"), seconds=90)

        request_ids = [line["request_id"] for line in working.lines(job=LOG_DAYS)[line_count:]]
        assert request_ids == ["one-of-many.0", "one-of-many.1", "one-of-many.2"]

    def test_are_counted(self, working):
        before = working.jobs(LOG_DAYS, "succeeded")
        seconds_before = working.number("job_seconds_total", name=LOG_DAYS, result="succeeded")

        working.ask_for_log("count-me.1")

        assert wait_for(lambda: working.jobs(LOG_DAYS, "succeeded") == before + 1, seconds=90)
        assert working.number("job_seconds_total", name=LOG_DAYS, result="succeeded") > seconds_before
        assert working.jobs(LOG_DAYS, "failed") == 0


class TestLogLines:
    def test_of_worker_and_beat_are_json_without_warnings(self, stage):
        stage.start("worker")
        stage.start("beat")
        stage.wait_for_first_jobs()
        assert wait_for(lambda: stage.failed_checks() == {}, seconds=90)

        assert {line["event"] for line in stage.lines()} >= {"worker is ready", "beat is ready"}
        assert not [line for line in stage.lines() if line["level"] != "info"]


class TestJobCounts:
    def test_count_a_failed_job_whose_log_line_names_the_request(self, stage):
        stage.start("worker")
        stage.wait_for_first_jobs()
        before = stage.jobs(LOG_DAYS, "succeeded")
        stage.execute("ALTER TABLE task_logs RENAME TO hidden")

        assert stage.ask_for_log("trace-me.1").status_code == 202

        assert wait_for(lambda: stage.jobs(LOG_DAYS, "failed") == 1, seconds=90)
        assert wait_for(lambda: stage.lines(level="error"), seconds=90)
        (line,) = stage.lines(level="error")
        assert (line["job"], line["request_id"]) == (LOG_DAYS, "trace-me.1")
        assert "not ready for this release" in line["exception"]
        assert "database unavailable: UndefinedTable" in {each["event"] for each in stage.lines(level="warning")}
        assert stage.jobs(LOG_DAYS, "succeeded") == before

    def test_a_job_succeeds_when_its_count_cannot_be_stored(self, stage):
        stage.start("worker")
        stage.wait_for_first_jobs()
        stage.execute("ALTER TABLE job_counts RENAME TO hidden")

        stage.ask_for_log("trace-me.1")

        assert wait_for(lambda: stage.ask("SELECT count(*) FROM log_requests") == [(0,)], seconds=90)
        # The next job runs, whatever happened to the first.
        stage.ask_for_log("trace-me.2")
        assert wait_for(lambda: stage.lines(request_id="trace-me.2", level="info"), seconds=90)
        assert {line["logger"] for line in stage.lines(level="error")} == {"app.jobs.observed"}


class Stage:
    """An api in this process, with a worker and a beat in processes of their own, on a database of their own."""

    def __init__(self, directory, settings, stack):
        self._directory = directory
        self._stack = stack
        self._connection = psycopg2.connect(settings.database_url.replace("+psycopg2", ""))
        self._connection.autocommit = True
        stack.callback(self._connection.close)
        celery_app = make_celery(settings)
        # The broker outlives a stage and may still hold messages of an earlier one.
        celery_app.control.purge()
        self._resources = Resources(settings, job_queue=CeleryJobQueue(celery_app))
        stack.callback(self._resources.engine.dispose)
        with serving(self._resources) as services:
            services.people.create_first_admin(username="admin", email="admin@example.org", password=PASSWORD)
        app = create_app(settings, resources=self._resources)
        self.client = Client(app)
        token = self.client.post("/login", {"username": "admin", "password": PASSWORD}).json["token"]
        self._as_admin = Client(app, {"Authorization": f"Bearer {token}"})
        self._environment = {
            **os.environ,
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "CELERY_BROKER_URL": settings.celery_broker_url,
            "JWT_SECRET_KEY": settings.jwt_secret_key,
            "LOG_LEVEL": "INFO",
            "WORKER_PROCESSES": "1",
        }

    def start(self, process_name):
        # Output that is not a log line, such as a warning of Python, goes to another file.
        with (
            self._log(process_name).open("w") as output,
            self._log(process_name).with_suffix(".err").open("w") as errors,
        ):
            process = subprocess.Popen(
                [sys.executable, "main.py", process_name],
                cwd=ROOT,
                env={**self._environment, "ALIVE_FILE": str(self.alive_file(process_name))},
                process_group=0,
                stdout=output,
                stderr=errors,
            )
        self._stack.callback(kill_group, process)
        return process

    def alive_file(self, process_name):
        return self._directory / f"{process_name}.alive"

    def wait_for_first_jobs(self):
        """Wait for the jobs that a worker asks for when it starts."""
        first_jobs = (JobName.LOG_DUE_DAYS, JobName.RUN_IMPORTS)
        assert wait_for(lambda: all(self.jobs(name.value, "succeeded") for name in first_jobs), seconds=90)

    def ask_for_log(self, request_id):
        return self._as_admin.post("/log-tasks", headers={"X-Request-ID": request_id})

    def failed_checks(self):
        checks = self.client.get("/readyz").json["checks"]
        return {name: check["reason"] for name, check in checks.items() if not check["ok"]}

    def jobs(self, name, result):
        return self.number("jobs_total", name=name, result=result)

    def number(self, metric, /, **labels):
        """Read a metric; 0 where it is missing."""
        spelled_labels = ",".join(f'{label}="{value}"' for label, value in labels.items())
        series = f"tasktrackerpro_{metric}" + (f"{{{spelled_labels}}}" if spelled_labels else "")
        values = dict(line.rsplit(" ", 1) for line in self.client.get("/metrics").text.splitlines() if line[0] != "#")
        return float(values.get(series, 0))

    def lines(self, **fields):
        """List the log lines of worker and beat that have all of these fields."""
        logs = (self._log(process_name) for process_name in ("worker", "beat") if self._log(process_name).exists())
        # The last line of each file may be incomplete.
        complete_lines = [line for log in logs for line in log.read_text().split("\n")[:-1]]
        lines_read = [json.loads(line) for line in complete_lines]
        return [line for line in lines_read if fields.items() <= line.items()]

    def execute(self, statement):
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    def ask(self, statement):
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def _log(self, process_name):
        return self._directory / f"{process_name}.log"


def kill_group(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def stage(tmp_path, base_settings, postgres_url, redis):
    with staged(tmp_path, base_settings, postgres_url) as stage:
        yield stage


@pytest.fixture(scope="class")
def working(tmp_path_factory, base_settings, postgres_url):
    """A stage with a worker. It ends before the next class: a later stage has the same broker."""
    with Redis.from_url(base_settings.redis_url) as redis:
        redis.flushdb()
    with staged(tmp_path_factory.mktemp("working"), base_settings, postgres_url) as stage:
        stage.start("worker")
        stage.wait_for_first_jobs()
        yield stage


@contextmanager
def staged(directory, settings, postgres_url):
    with ExitStack() as stack:
        url = stack.enter_context(servers.migrated_database(postgres_url))
        yield Stage(directory, replace(settings, database_url=url), stack)
