"""Uploads to a real api process: its memory afterwards, and the locks that a killed process leaves behind."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import Message
from pathlib import Path

import orjson
import psycopg2
import pytest

from app.auth.passwords import hash_password
from app.services.imports.uploads import MAX_SILENCE
from tests.servers import ROOT, free_port, migrated_database, wait_for

pytestmark = pytest.mark.deep

PASSWORD = "a password for the uploads"
MEGABYTE = 1024 * 1024
# The first piece is read before anything is stored, so an upload has begun once it is longer than that.
BEGUN_BYTES = 2 * MEGABYTE
UPLOADS = 64
UPLOAD_BYTES = 2 * MEGABYTE
# Without the bound that `app.memory` sets, the same uploads leave more than 200 MB.
MAX_KEPT_BYTES = 90 * MEGABYTE


class TestMemory:
    def test_many_uploads_at_once_release_their_memory(self, api):
        assert api.upload(rows_of(UPLOAD_BYTES, name="first"))[0] == 202
        before = api.private_bytes()

        with ThreadPoolExecutor(UPLOADS) as threads:
            codes = {
                code for code, _ in threads.map(lambda n: api.upload(rows_of(UPLOAD_BYTES, name=n)), range(UPLOADS))
            }

        assert 202 in codes
        assert wait_for(lambda: api.private_bytes() - before < MAX_KEPT_BYTES), api.private_bytes() - before


class TestKilledApi:
    def test_an_upload_that_was_cut_off_gives_its_key_to_the_next(self, api):
        connection = api.begin_upload(rows_of(BEGUN_BYTES, name="cut off"), key="once")
        assert wait_for(lambda: api.ask("SELECT block_count > 0 FROM imports") == [(True,)])
        api.kill()
        connection.close()
        api.start()

        refusals = []

        def try_again() -> bool:
            status, headers = api.upload(rows_of(1000, name="whole"), key="once")
            refusals.append((status, headers.get("Retry-After")))
            return status == 202

        assert wait_for(try_again, seconds=MAX_SILENCE.total_seconds() + 20)
        assert {status for status, _ in refusals[:-1]} <= {409}
        assert all(1 <= int(wait) <= MAX_SILENCE.total_seconds() + 1 for _, wait in refusals[:-1])
        assert api.ask("SELECT count(*), count(content_hash) FROM imports") == [(1, 1)]


def rows_of(size: int, *, name: object) -> bytes:
    row = f"Task of {name},{'some words about it ' * 4}\n".encode()
    return b"task_name,description\n" + row * (size // len(row))


class Api:
    """An api under the server that starts it, on servers of the tests."""

    def __init__(self, database_url: str, redis_url: str, metrics_dir: Path) -> None:
        self._database_url = database_url.replace("+psycopg2", "")
        self._port = free_port()
        self._environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "JWT_SECRET_KEY": "a secret of the tests that is long enough",
            "LOG_LEVEL": "WARNING",
            "PORT": str(self._port),
            "API_PROCESSES": "1",
            "DRAIN_SECONDS": "0",
            "RATE_LIMIT_ENABLED": "false",
            "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._token = ""

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "main.py", "api"], cwd=ROOT, env=self._environment, process_group=0
        )
        assert wait_for(self._is_up, seconds=60)
        self._token = orjson.loads(self._ask("POST", "/login", {"username": "boss", "password": PASSWORD}))["token"]

    def kill(self) -> None:
        """Kill all of its processes at once."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def upload(self, rows: bytes, *, key: str | None = None) -> tuple[int, Message]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        try:
            connection.request("POST", "/api/v1/imports", form_of(rows), self._headers(key))
            response = connection.getresponse()
            response.read()
        except OSError:
            return 0, Message()
        else:
            return response.status, response.headers
        finally:
            connection.close()

    def begin_upload(self, rows: bytes, *, key: str) -> http.client.HTTPConnection:
        """Send the whole form except its end."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        connection.putrequest("POST", "/api/v1/imports")
        body = form_of(rows)
        for name, value in {**self._headers(key), "Content-Length": str(len(body) + 1000)}.items():
            connection.putheader(name, value)
        connection.endheaders(body.removesuffix(END))
        return connection

    def private_bytes(self) -> int:
        """Measure the process that serves, which is the youngest child of the one that was started."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return max(_private_bytes(int(pid)) for pid in children)

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(self._database_url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            connection.close()

    def _headers(self, key: str | None) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "multipart/form-data; boundary=b",
            "Prefer": "respond-async",
            **({} if key is None else {"Idempotency-Key": key}),
        }

    def _is_up(self) -> bool:
        try:
            self._ask("GET", "/ping")
        except OSError:
            return False
        return True

    def _ask(self, method: str, path: str, body: object = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, orjson.dumps(body), {"Content-Type": "application/json"})
            return connection.getresponse().read()
        finally:
            connection.close()


END = b"\r\n--b--\r\n"


def form_of(rows: bytes) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="file"; filename="rows.csv"\r\n\r\n' + rows + END


def _private_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Private_Dirty", "Private_Clean")))


@contextmanager
def running(api: Api) -> Iterator[Api]:
    try:
        api.start()
        yield api
    finally:
        api.kill()


@pytest.fixture
def api(postgres_url: str, redis_url: str, redis: object, tmp_path: Path) -> Iterator[Api]:
    with migrated_database(postgres_url) as database_url:
        api = Api(database_url, redis_url, tmp_path)
        connection = psycopg2.connect(database_url.replace("+psycopg2", ""))
        with connection, connection.cursor() as cursor:
            statement = "INSERT INTO users (username, password_hash, role) VALUES ('boss', %s, 'admin')"
            cursor.execute(statement, (hash_password(PASSWORD),))
        connection.close()
        with running(api):
            yield api
