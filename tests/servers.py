"""The servers that tests run on: bundled ones of their own, or the ones that TEST_…_URL names."""

import os
import pwd
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg2
from alembic import command
from alembic.config import Config
from psycopg2 import sql
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from app.local.servers import PostgresServer, ValkeyServer, wait_until_ready
from app.local.system_user import ServerUser, server_user
from app.settings import psycopg2_url

ROOT = Path(__file__).resolve().parent.parent


def own_user() -> ServerUser:
    """Return the system user for all servers that tests start by themselves."""
    return server_user(ROOT)


def remove_system_users(below: Path) -> None:
    """Remove the user that a tracker started by root gets; its comment names the data directory."""
    for entry in pwd.getpwall():
        if entry.pw_name.startswith("tasktracker-") and Path(entry.pw_gecos).is_relative_to(below.resolve()):
            subprocess.run(["userdel", entry.pw_name], check=True)


@contextmanager
def postgres(data_dir: Path) -> Iterator[str]:
    """Yield the URL of a database in which other databases may be created."""
    own_url = os.environ.get("TEST_DATABASE_URL")
    if own_url:
        yield own_url
        return
    server = PostgresServer(data_dir, own_user())
    with running(server):
        yield server.url.replace("//tasktracker@/tasktracker", "//postgres@/postgres")


@contextmanager
def valkey(data_dir: Path) -> Iterator[str]:
    """Yield the URL of a Redis that may be emptied; each test process gets a database of its own on your server."""
    own_url = os.environ.get("TEST_REDIS_URL")
    if own_url:
        url = urlsplit(own_url)
        number = int(url.path.strip("/") or 0) + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        yield urlunsplit(url._replace(path=f"/{number}"))
        return
    server = ValkeyServer(data_dir, own_user(), "test-password")
    with running(server):
        yield server.url(0)


def broker(redis_url: str) -> str:
    """Return the broker: your TEST_BROKER_URL, for one test process at a time; otherwise the same Redis."""
    return os.environ.get("TEST_BROKER_URL") or redis_url


@contextmanager
def running(server: PostgresServer | ValkeyServer) -> Iterator[subprocess.Popen[bytes]]:
    server.prepare()
    process = subprocess.Popen(server.command(), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, process_group=0)
    try:
        wait_until_ready(server, seconds=30)
        yield process
    finally:
        process.send_signal(server.stop_signal)
        process.wait(timeout=20)


# The time that tests set for history and the daily log; the real time until they set one.
_SIMULATE_CLOCK = """
CREATE TABLE test_clock (now timestamptz);
INSERT INTO test_clock VALUES (NULL);
CREATE OR REPLACE FUNCTION record_now() RETURNS timestamptz LANGUAGE sql STABLE AS
    'SELECT coalesce((SELECT now FROM test_clock), now())';
"""


@contextmanager
def migrated_database(server_url: str, *, has_simulated_clock: bool = False) -> Iterator[str]:
    """Create a database with the real migrations, and drop it at the end."""
    name = f"test_{uuid4().hex[:12]}"
    url = make_url(psycopg2_url(server_url))
    with ExitStack() as stack:
        _administer(server_url, "CREATE DATABASE {}", name)
        stack.callback(_administer, server_url, "DROP DATABASE {} WITH (FORCE)", name)
        database_url = url.set(database=name).render_as_string(hide_password=False)
        engine = create_engine(database_url)
        with engine.connect() as connection:
            config = Config(ROOT / "alembic.ini")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if has_simulated_clock:
                connection.execute(text(_SIMULATE_CLOCK))
                connection.commit()
        engine.dispose()
        yield database_url


def _administer(server_url: str, statement: str, name: str) -> None:
    connection = psycopg2.connect(server_url.replace("postgresql+psycopg2://", "postgresql://"))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(sql.Identifier(name)))
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: object, *, seconds: float = 10.0) -> bool:
    """Wait until the condition holds; for changes that another process makes in its own time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False
