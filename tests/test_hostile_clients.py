"""Clients that hold on to whatever they can, beside one ordinary client; a real api and real sockets."""

import json
import select
import socket
import threading
import time
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import psycopg2
import pytest

from app.http.slow_clients import IDLE_SECONDS, SILENCE_SECONDS, WINDOW_SECONDS
from app.local.processes import MAX_HEAD_BYTES
from tests.api_process import running_api_on_new_database
from tests.servers import wait_for

SILENT = 200
READERS = 40
EXPORTED_TASKS = 20_000
# A blocked request would wait as long as the clients hold on, which is for ever.
PATIENCE_SECONDS = 5.0
# A busy machine adds this to the one look a second.
SLACK_SECONDS = 10.0

HEAD = "POST /api/v1/tasks HTTP/1.1\r\nHost: tracker\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n"
EXPORT = "GET /api/v1/tasks/export HTTP/1.1\r\nHost: tracker\r\n"


@pytest.mark.deep
class TestSilentClients:
    @pytest.mark.parametrize(
        ("head", "held_seconds"), [(HEAD, SILENCE_SECONDS), (f"{HEAD}Expect: 100-continue\r\n", IDLE_SECONDS)]
    )
    def test_block_nobody_and_are_cut_off(self, api, hold, head, held_seconds):
        held = hold(SILENT, head)

        with ordinary_client(api) as ordinary:
            assert wait_for(lambda: all(map(is_over, held)), seconds=held_seconds + SLACK_SECONDS)

        assert ordinary.problems == []
        assert ordinary.slowest_seconds < PATIENCE_SECONDS

    def test_clients_that_send_drop_by_drop_block_nobody_and_are_cut_off(self, api, hold):
        held = hold(SILENT, HEAD)

        with ordinary_client(api) as ordinary:
            assert wait_for(lambda: sum(map(drip, held)) == 0, seconds=WINDOW_SECONDS + SLACK_SECONDS)

        assert ordinary.problems == []
        assert ordinary.slowest_seconds < PATIENCE_SECONDS

    def test_clients_that_never_read_block_nobody_and_are_cut_off(self, api, hold):
        held = hold(READERS, EXPORT, receive_buffer=4096)

        with ordinary_client(api) as ordinary:
            # Unread data hides the end from these clients, so the test looks at the api's side of the connections.
            assert wait_for(lambda: not held_by(api, held), seconds=4 * WINDOW_SECONDS)

        assert ordinary.problems == []
        assert ordinary.slowest_seconds < PATIENCE_SECONDS


@pytest.mark.deep
class TestLargeHead:
    def test_is_refused_before_it_is_read(self, api):
        assert api.request("GET", "/ping", **{"X-Large": "x" * 4 * MAX_HEAD_BYTES}).status == 431
        assert api.request("GET", "/ping", **{"X-Usual": "x" * 8_000}).status == 200


@pytest.mark.deep
class TestLockedTasks:
    def test_requests_are_refused_while_health_checks_are_answered(self, api):
        with closing(psycopg2.connect(api.database_url)) as locker, ExitStack() as clients:
            with locker.cursor() as cursor:
                cursor.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            for _ in range(30):
                clients.enter_context(ordinary_client(api))
            time.sleep(1)
            began_at = time.monotonic()
            assert api.request("GET", "/healthz").status == 200
            assert time.monotonic() - began_at < 1
            began_at = time.monotonic()
            refused = api.request("POST", "/api/v1/tasks", b'{"title": "Not now"}')
            assert (refused.status, refused.headers["Retry-After"] is not None) == (503, True)
            assert time.monotonic() - began_at < PATIENCE_SECONDS

        assert wait_for(lambda: api.request("GET", "/api/v1/tasks").status == 200)


@pytest.mark.deep
class TestKilledBackends:
    def test_never_cause_an_internal_error(self, api):
        with ExitStack() as clients, closing(psycopg2.connect(api.database_url)) as connection:
            connection.autocommit = True
            ordinary = [clients.enter_context(ordinary_client(api, writes=True)) for _ in range(4)]
            with connection.cursor() as cursor:
                for _ in range(60):
                    cursor.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'tasktrackerpro' AND datname = current_database() LIMIT 2"
                    )
                    time.sleep(0.1)

        assert {problem for one in ordinary for problem in one.problems} <= {503}, api.log.read_text()
        assert sum(one.count for one in ordinary) > 60


class OrdinaryClient:
    """Asks for a page repeatedly, like a person at a desk."""

    def __init__(self, api, *, writes):
        self._api = api
        self._writes = writes
        self.problems = []
        self.slowest_seconds = 0.0
        self.count = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_args):
        self._is_over.set()
        self._thread.join()

    def _ask(self):
        connection = HTTPConnection("127.0.0.1", self._api.port, timeout=60)
        headers = {**self._api.headers, "Content-Type": "application/json"}
        while not self._is_over.wait(0.02):
            began_at = time.monotonic()
            if self._writes and self.count % 2:
                connection.request("POST", "/api/v1/tasks", json.dumps({"title": "Written"}), headers)
            else:
                connection.request("GET", f"/api/v1/tasks?limit={self.count % 50 + 1}", headers=headers)
            answer = connection.getresponse()
            answer.read()
            self.count += 1
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began_at)
            if answer.status >= 400:
                self.problems.append(answer.status)
        connection.close()


def ordinary_client(api, *, writes=False):
    return OrdinaryClient(api, writes=writes)


def is_over(held):
    poll = select.poll()
    poll.register(held, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def held_by(api, held):
    """List the clients whose connection the api still keeps, even if only for unread data."""
    ports = {one.getsockname()[1] for one in held}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = [(int(row[1].split(":")[1], 16), int(row[2].split(":")[1], 16)) for row in rows]
    return {theirs for ours, theirs in ends if ours == api.port and theirs in ports}


def drip(held):
    """Send one more byte; return True if the other end accepts it."""
    try:
        held.send(b" ")
    except OSError:
        return False
    return not is_over(held)


@pytest.fixture(scope="module")
def api(base_settings, postgres_url, tmp_path_factory):
    directory = tmp_path_factory.mktemp("api")
    # All clients act as one user, who may run this many requests at once.
    with running_api_on_new_database(
        base_settings, postgres_url, directory, MAX_RUNNING_REQUESTS_PER_USER="100"
    ) as api:
        with closing(psycopg2.connect(api.database_url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO tasks (project_id, number, title, status, priority, creator_id, position)"
                " SELECT 1, 1000000 + n, md5(n::text) || md5((-n)::text), 'todo', 'low', (SELECT min(id) FROM users), n"
                " FROM generate_series(1, %s) AS n",
                (EXPORTED_TASKS,),
            )
        yield api


@pytest.fixture
def hold(api):
    """Begin this many requests without continuing them."""
    with ExitStack() as stack:

        def begin(count, head, *, receive_buffer=None):
            held = []
            for _ in range(count):
                one = stack.enter_context(socket.socket())
                if receive_buffer is not None:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
                one.connect(("127.0.0.1", api.port))
                one.sendall(f"{head}Authorization: {api.headers['Authorization']}\r\n\r\n".encode())
                held.append(one)
            return held

        yield begin
