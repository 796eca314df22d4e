"""A client never takes an incomplete download for a complete one: a real api, whose database or file fails midway."""

import csv
import io
import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection, IncompleteRead

import psycopg2
import pytest

from tests.api_process import running_api_on_new_database
from tests.servers import wait_for

pytestmark = pytest.mark.deep

TASK_COUNT = 100_500
# The buffer is so small that the api cannot have sent everything when the client has read the first bytes.
RECEIVE_BUFFER_BYTES = 64 * 1024
PATHS = ["/api/v1/tasks/export", "/activetasks"]


class TestWholeDownload:
    def test_an_export_has_as_many_rows_as_its_header_states(self, api):
        answer = api.request("GET", "/api/v1/tasks/export")

        _header, *rows = csv.reader(io.StringIO(answer.body.decode(), newline=""))
        assert (answer.status, len(rows)) == (200, TASK_COUNT)
        assert int(answer.headers["X-Row-Count"]) == TASK_COUNT

    def test_the_active_tasks_are_as_many_as_their_header_states(self, api):
        answer = api.request("GET", "/activetasks")

        assert (answer.status, len(json.loads(answer.body))) == (200, TASK_COUNT)
        assert int(answer.headers["X-Row-Count"]) == TASK_COUNT


class TestCutDownload:
    @pytest.mark.parametrize("path", PATHS)
    def test_an_unreadable_file_breaks_the_connection(self, api, path):
        with slow_client(api, path) as response:
            assert (response.status, len(response.read(1000))) == (200, 1000)
            file = api.temporary_file()
            os.truncate(file, file.stat().st_size - 100_000)

            with pytest.raises(IncompleteRead):
                response.read()

    def test_a_failure_while_the_file_is_made_is_an_error(self, api, database):
        with ThreadPoolExecutor(1) as pool:
            pending = pool.submit(api.request, "GET", "/api/v1/tasks/export")
            # The first pages are in the file.
            assert wait_for(api.temporary_file)
            with database.cursor() as cursor:
                cursor.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
                assert wait_for(lambda: blocked_backends(cursor))
                cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", (blocked_backends(cursor),))
            database.rollback()
            answer = pending.result()

        assert (answer.status, json.loads(answer.body)["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"]
        assert api.temporary_file() is None


@contextmanager
def slow_client(api, path):
    connection = HTTPConnection("127.0.0.1", api.port)
    connection.sock = socket.socket()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    connection.sock.settimeout(60)
    connection.sock.connect(("127.0.0.1", api.port))
    with closing(connection):
        connection.request("GET", path, headers=api.headers)
        with closing(connection.getresponse()) as response:
            yield response


def blocked_backends(cursor):
    cursor.execute("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
    return [pid for (pid,) in cursor]


FILL = """
INSERT INTO tasks (project_id, number, title, status, priority, creator_id, position)
SELECT 1, n, md5(n::text) || md5((-n)::text) || md5((n / 7.0)::text), 'todo', 'low', (SELECT min(id) FROM users), n
  FROM generate_series(1, %s) AS n
"""


@pytest.fixture(scope="module")
def api(base_settings, postgres_url, tmp_path_factory):
    directory = tmp_path_factory.mktemp("api")
    with running_api_on_new_database(base_settings, postgres_url, directory, TMPDIR=str(directory)) as api:
        with closing(psycopg2.connect(api.database_url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(FILL, (TASK_COUNT,))
        yield api


@pytest.fixture
def database(api):
    with closing(psycopg2.connect(api.database_url)) as connection:
        yield connection
