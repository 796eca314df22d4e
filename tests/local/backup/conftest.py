"""Servers and databases to dump and restore."""

import pytest

from app.local.servers import PostgresServer
from tests import servers
from tests.local.backup.recorded import asking, empty_database
from tests.servers import own_user


@pytest.fixture(scope="module")
def server_url(tmp_path_factory):
    """A bundled server, so that the bundled `pg_dump` can read it whatever server the other tests use."""
    server = PostgresServer(tmp_path_factory.mktemp("postgres"), own_user())
    with servers.running(server):
        yield server.url.replace("//tasktracker@/tasktracker", "//postgres@/postgres")


@pytest.fixture
def filled_url(server_url):
    with servers.migrated_database(server_url) as sqlalchemy_url:
        url = sqlalchemy_url.replace("postgresql+psycopg2://", "postgresql://")
        with asking(url) as ask:
            ask("INSERT INTO users (username, role, password_hash) VALUES ('ina', 'user', 'x')")
            ask(
                "INSERT INTO tasks (project_id, number, title, status, priority, creator_id, position)"
                " SELECT p.id, n, 'Task ' || md5(n::text), 'todo', 'low', u.id, n"
                "   FROM projects AS p, users AS u, generate_series(1, 2000) AS n"
            )
            ask("UPDATE tasks SET status = 'done' WHERE number % 3 = 0")
        yield url


@pytest.fixture
def empty_url(server_url):
    with empty_database(server_url) as url:
        yield url
