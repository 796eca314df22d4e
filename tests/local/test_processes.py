"""`python main.py api | worker | beat` as a host runs them: real processes, real clients, real signals."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from threading import Thread
from uuid import uuid4

import psycopg2
import pytest

from app.composition.resources import Resources
from app.composition.services import serving
from app.http.draining import HOLD_SECONDS
from tests import servers
from tests.fakes import FakeJobQueue
from tests.servers import ROOT, free_port, wait_for

PASSWORD = "a password of the tests"
DRAIN_SECONDS = 1.5
# An api needs this long to end beside its drain: the hold, a slow request of the tests, and a busy machine.
SLACK_SECONDS = 6.0
CLIENTS = 8
PAUSE_SECONDS = 0.05
# The state LISTEN in /proc/net/tcp.
TCP_LISTEN = "0A"
DRAINS = 3


class TestDrain:
    @pytest.mark.parametrize("_number", range(DRAINS))
    def test_loses_no_request_on_kept_connections(self, stage, _number):
        api = stage.start_api(DRAIN_SECONDS=str(DRAIN_SECONDS))
        clients = [Client(stage, number, is_busy=number % 2 == 0) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        assert wait_for(lambda: all(len(client.acknowledged) >= 5 for client in clients))
        slow = stage.slow_request()

        signalled_at = time.monotonic()
        api.send_signal(signal.SIGTERM)
        assert wait_for(lambda: not stage.listens(), seconds=DRAIN_SECONDS + SLACK_SECONDS)
        stopped_listening_after = time.monotonic() - signalled_at
        still_ran = not slow.is_answered()
        slow.release()

        assert api.wait(timeout=SLACK_SECONDS) == 0
        ended_after = time.monotonic() - signalled_at
        for client in clients:
            client.join(timeout=10)
        assert [client.lost for client in clients] == [None] * CLIENTS
        # Every client was sent away while the others were still served, so it could come back.
        assert max(client.sent_away_at for client in clients) < signalled_at + DRAIN_SECONDS - HOLD_SECONDS
        acknowledged = {title for client in clients for title in client.acknowledged}
        assert acknowledged == stage.titles()
        assert (still_ran, slow.status()) == (True, 200)
        assert DRAIN_SECONDS * 0.9 < stopped_listening_after <= ended_after < DRAIN_SECONDS + SLACK_SECONDS
        assert stage.processes() == []

    def test_tells_load_balancers_first(self, stage):
        api = stage.start_api(DRAIN_SECONDS="20")
        assert stage.get("/readyz?exclude=worker&exclude=beat")[0] == 200

        api.send_signal(signal.SIGTERM)

        assert wait_for(lambda: stage.get("/readyz")[1].get("status") == "stopping")
        assert stage.get("/readyz?exclude=worker&exclude=beat")[0] == 503
        assert stage.get("/healthz")[0] == 200
        # A second signal ends the drain early.
        api.send_signal(signal.SIGINT)
        assert api.wait(timeout=SLACK_SECONDS) == 0
        assert stage.processes() == []

    def test_begins_in_every_process(self, stage):
        api = stage.start_api(DRAIN_SECONDS="20", API_PROCESSES="3")

        api.send_signal(signal.SIGTERM)

        # Any process may take a connection; thirty in a row reach them all. The drain itself is the time limit.
        in_a_row = 0
        while in_a_row < 30:
            in_a_row = in_a_row + 1 if stage.get("/healthz")[2] == "close" else 0
        api.send_signal(signal.SIGINT)
        assert api.wait(timeout=SLACK_SECONDS) == 0

    def test_a_drain_of_zero_seconds_ends_at_once(self, stage):
        api = stage.start_api(DRAIN_SECONDS="0")
        idle = stage.connect()
        idle.request("GET", "/healthz")
        assert idle.getresponse().read()

        signalled_at = time.monotonic()
        api.send_signal(signal.SIGTERM)

        assert api.wait(timeout=SLACK_SECONDS) == 0
        assert time.monotonic() - signalled_at < 3
        assert stage.processes() == []
        idle.close()


class TestApi:
    @pytest.mark.parametrize(
        ("stop_signal", "drain_seconds"), [(signal.SIGTERM, "1"), (signal.SIGTERM, "0"), (signal.SIGINT, "1")]
    )
    def test_a_stop_during_the_start_leaves_no_process(self, stage, stop_signal, drain_seconds):
        api = stage.start("api", DRAIN_SECONDS=drain_seconds)
        assert wait_for(lambda: len(stage.processes()) == 2, seconds=30)

        signalled_at = time.monotonic()
        api.send_signal(stop_signal)

        assert api.wait(timeout=30) == 0
        assert stage.processes() == []
        assert time.monotonic() - signalled_at < 1 + SLACK_SECONDS

    @pytest.mark.parametrize("drain_seconds", ["0", "1"])
    def test_many_stop_signals_at_once_end_it(self, stage, drain_seconds):
        """The children of a killed supervisor get the signal once for each of its threads."""
        api = stage.start_api(DRAIN_SECONDS=drain_seconds)

        for _ in range(200):
            with suppress(ProcessLookupError):
                os.kill(api.pid, signal.SIGTERM)

        assert api.wait(timeout=30) == 0
        assert stage.processes() == []

    def test_a_stop_while_a_process_is_replaced_leaves_no_process(self, stage):
        api = stage.start_api(DRAIN_SECONDS=str(DRAIN_SECONDS))
        before = stage.processes()
        os.kill(before[0], signal.SIGKILL)
        assert wait_for(lambda: set(stage.processes()) - set(before), seconds=20)

        signalled_at = time.monotonic()
        api.send_signal(signal.SIGTERM)

        assert wait_for(lambda: stage.get("/readyz")[1].get("status") == "stopping", seconds=5), stage.complaints("api")
        assert api.wait(timeout=30) == 0
        assert stage.processes() == []
        assert time.monotonic() - signalled_at < DRAIN_SECONDS + SLACK_SECONDS

    def test_a_killed_process_is_replaced_and_its_counts_are_kept(self, stage, tmp_path):
        numbers = tmp_path / "numbers"
        numbers.mkdir()
        api = stage.start_api(PROMETHEUS_MULTIPROC_DIR=str(numbers))
        pending = 'tasktrackerpro_http_requests_total{method="GET",route="/api/v1/tasks",status="401"}'
        for _ in range(20):
            stage.get("/api/v1/tasks")
        # Each of the two processes reports the counts of both.
        assert [stage.number(pending) for _ in range(6)] == [20] * 6

        first, second = stage.processes()
        os.kill(first, signal.SIGKILL)
        assert wait_for(lambda: len(set(stage.processes()) - {first, second}) == 1, seconds=20)
        assert wait_for(lambda: stage.number("tasktrackerpro_database_connections_limit") == 20, seconds=20)
        for _ in range(20):
            stage.get("/api/v1/tasks")

        assert [stage.number(pending) for _ in range(6)] == [40] * 6
        assert len([*numbers.glob("place-*.lock")]) == 2
        api.send_signal(signal.SIGINT)
        api.wait(timeout=SLACK_SECONDS)

    def test_every_line_that_it_writes_is_json(self, stage):
        api = stage.start_api(DRAIN_SECONDS="0", LOG_LEVEL="DEBUG")
        stage.get("/api/v1/tasks")
        api.send_signal(signal.SIGTERM)
        api.wait(timeout=SLACK_SECONDS)

        lines = [json.loads(line) for line in stage.output("api").splitlines()]

        assert stage.complaints("api") == ""
        assert [line["path"] for line in lines if line["event"] == "request"] == ["/login", "/api/v1/tasks"]
        assert not [line for line in lines if line["level"] not in {"debug", "info"}]


class TestWorkerAndBeat:
    @pytest.mark.parametrize("process_name", ["worker", "beat"])
    def test_end_on_a_signal_and_leave_no_process(self, stage, process_name):
        process = stage.start(process_name)
        assert wait_for(lambda: f"{process_name} is ready" in stage.output(process_name), seconds=30)

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=20) == 0
        assert stage.processes() == []
        # Celery says goodbye in its own format.
        lines = [line for line in stage.output(process_name).splitlines() if not line.startswith("{")]
        assert set(lines) <= {"", "worker: Warm shutdown (MainProcess)"}


class TestSettings:
    @pytest.mark.parametrize("process_name", ["api", "worker", "beat"])
    def test_wrong_settings_are_all_reported_and_nothing_starts(self, stage, process_name):
        process = stage.start(process_name, DRAIN_SECONDS="zebra", METRICS_TOKEN="zebra", REDIS_URL="")

        assert process.wait(timeout=30) == 2
        complaints = stage.complaints(process_name)
        for name in ("DRAIN_SECONDS", "METRICS_TOKEN", "REDIS_URL"):
            assert name in complaints
        assert "zebra" not in complaints
        assert "Traceback" not in complaints
        assert stage.output(process_name) == ""


class Client(Thread):
    """Posts tasks, one after the other, on a connection that it keeps until it is sent away; retries nothing.

    A busy client comes back until nobody listens any more. Other clients pause now and then, so that their connection
    is idle when it might be closed, and stay away once they are sent away.
    """

    def __init__(self, stage, number, *, is_busy):
        super().__init__(daemon=True)
        self._stage = stage
        self._number = number
        self._is_busy = is_busy
        self.acknowledged = []
        # The time at which it was sent away for the first time.
        self.sent_away_at = None
        # The error of a request that was sent.
        self.lost = None

    def run(self):
        connection = None
        for turn in count():
            if connection is None:
                connection = self._stage.connect()
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    return
            title = f"{self._number}-{turn}-{uuid4()}"
            try:
                answer = self._stage.ask(connection, "POST", "/api/v1/tasks", {"title": title})
                if answer.status != 201 or answer.body["title"] != title:
                    connection.close()
                    self.lost = f"{answer.status} {answer.body}"
                    return
            except (OSError, HTTPException, ValueError) as error:
                connection.close()
                self.lost = f"turn {turn}: {error!r}, sent away at {self.sent_away_at}"
                return
            self.acknowledged.append(title)
            if answer.connection == "close":
                self.sent_away_at = self.sent_away_at or time.monotonic()
                connection.close()
                if not self._is_busy:
                    return
                connection = None
            elif not self._is_busy:
                time.sleep(PAUSE_SECONDS)


class SlowRequest:
    """Changes a task that another transaction has locked, until the lock is released."""

    def __init__(self, stage, locker, pending):
        self._locker = locker
        self._asked = pending

    def is_answered(self):
        return self._asked.done()

    def release(self):
        self._locker.rollback()

    def status(self):
        return self._asked.result(timeout=10).status


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.connection = response.getheader("Connection")
        self.body = json.loads(response.read() or "{}")


class Stage:
    """The api, worker and beat, each started by itself, with a database of their own, and their clients."""

    def __init__(self, directory, settings, stack):
        self._directory = directory
        self._stack = stack
        self._url = settings.database_url.replace("+psycopg2", "")
        self._port = free_port()
        self._mark = uuid4().hex
        self._threads = stack.enter_context(ThreadPoolExecutor(1))
        self._started = []
        resources = Resources(settings, job_queue=FakeJobQueue())
        with serving(resources) as services:
            services.people.create_first_admin(username="admin", email="admin@example.org", password=PASSWORD)
        resources.engine.dispose()
        self._environment = {
            **os.environ,
            "TEST_MARK": self._mark,
            "PORT": str(self._port),
            "API_PROCESSES": "2",
            "WORKER_PROCESSES": "2",
            "DATABASE_URL": self._url,
            "REDIS_URL": settings.redis_url,
            "CELERY_BROKER_URL": settings.celery_broker_url,
            "JWT_SECRET_KEY": settings.jwt_secret_key,
            "RATE_LIMIT_ENABLED": "false",
            "LOG_LEVEL": "INFO",
        }
        self._token = None

    def start(self, process_name, **environment):
        with self._log(process_name).open("w") as output, self._errors(process_name).open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "main.py", process_name],
                cwd=ROOT,
                env=self._environment | environment,
                stdout=output,
                stderr=errors,
                process_group=0,
            )
        self._started.append(process)
        self._stack.callback(kill_group, process)
        return process

    def start_api(self, **environment):
        """Start an api and wait until each of its processes answers."""
        api = self.start("api", **environment)
        process_count = int((self._environment | environment)["API_PROCESSES"])
        assert wait_for(lambda: self.count_listening() == process_count, seconds=30), self.output("api")
        credentials = {"username": "admin", "password": PASSWORD}
        connection = self.connect()
        self._token = self.ask(connection, "POST", "/login", credentials).body["token"]
        connection.close()
        return api

    def listens(self):
        connection = self.connect()
        try:
            connection.connect()
        except ConnectionRefusedError:
            return False
        finally:
            connection.close()
        return True

    def count_listening(self):
        """Count the listening sockets; each process of the api has one of its own on the port."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(f":{self._port:04X}") and row[3] == TCP_LISTEN for row in rows)

    def connect(self):
        return HTTPConnection("127.0.0.1", self._port, timeout=20)

    def ask(self, connection, method, path, body=None):
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection.request(method, path, json.dumps(body), headers)
        return Answer(connection.getresponse())

    def get(self, path):
        """Ask on a connection of its own; return status, body and whether the connection is closed."""
        connection = self.connect()
        try:
            connection.request("GET", path)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        return answer.status, answer.body, answer.connection

    def number(self, metric):
        connection = self.connect()
        try:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        finally:
            connection.close()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return float(values.get(metric, 0))

    def slow_request(self):
        """Return once the request waits for the lock."""
        connection = self.connect()
        self._stack.callback(connection.close)
        task_id = self.ask(connection, "POST", "/api/v1/tasks", {"title": "Slow"}).body["id"]
        locker = psycopg2.connect(self._url)
        self._stack.callback(locker.close)
        with locker.cursor() as cursor:
            cursor.execute("SELECT FROM tasks WHERE id = %s FOR UPDATE", (task_id,))
        path, change = f"/api/v1/tasks/{task_id}", {"description": "changed"}
        pending = self._threads.submit(self.ask, connection, "PATCH", path, change)
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        assert wait_for(lambda: self.query(waiting) == [(1,)])
        return SlowRequest(self, locker, pending)

    def titles(self):
        return {title for (title,) in self.query("SELECT title FROM tasks WHERE title <> 'Slow'")}

    def query(self, statement):
        connection = psycopg2.connect(self._url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            connection.close()

    def output(self, process_name):
        return self._log(process_name).read_text()

    def processes(self):
        """List the processes that the started ones have left running; children inherit a mark."""
        ours = {process.pid for process in self._started if process.poll() is None}
        pids = []
        for entry in Path("/proc").iterdir():
            try:
                is_ours = entry.name.isdecimal() and os.fsencode(self._mark) in (entry / "environ").read_bytes()
            except OSError:
                continue
            if is_ours and int(entry.name) not in ours:
                pids.append(int(entry.name))
        return sorted(pids)

    def complaints(self, process_name):
        """List the lines of output that are not log lines."""
        return self._errors(process_name).read_text()

    def _log(self, process_name):
        return self._directory / f"{process_name}.log"

    def _errors(self, process_name):
        return self._directory / f"{process_name}.err"


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


@pytest.fixture
def stage(tmp_path, base_settings, postgres_url, redis):
    with ExitStack() as stack:
        url = stack.enter_context(servers.migrated_database(postgres_url))
        yield Stage(tmp_path, replace(base_settings, database_url=url), stack)
