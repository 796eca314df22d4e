"""What a release does at its start to the schema: an older one, its own, a later one, or none."""

import os
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from uuid import uuid4

import psycopg2
import pytest
from alembic import command
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from app.composition.resources import Resources
from app.database.migrations import alembic_config, known_migrations
from app.factory import create_app
from app.local.errors import StartError
from app.local.first_run import migrate
from app.settings import psycopg2_url
from tests import servers
from tests.fakes import FakeJobQueue
from tests.servers import ROOT, free_port

PASSWORD = "a password of the tests"
LATER = "of_a_later_release"
APPLIED = "SELECT version_num FROM alembic_version"
ADMINS = "SELECT username FROM users WHERE role = 'admin'"
NEWEST = known_migrations()[0]
# A later release may add these, as its release notes promise; this release must not fail on them.
LATER_SCHEMA = f"""
CREATE TABLE letters (id bigint PRIMARY KEY);
ALTER TABLE tasks ADD COLUMN weight integer NOT NULL DEFAULT 1;
UPDATE alembic_version SET version_num = '{LATER}';
"""
SCHEMA = """
SELECT table_name, column_name, data_type, column_default, is_nullable FROM information_schema.columns
WHERE table_schema = 'public' ORDER BY table_name, column_name
"""


class TestMigrate:
    def test_an_empty_database_gets_the_schema_of_this_release(self, database):
        migrate(database.settings)

        assert database.ask(APPLIED) == [(NEWEST,)]
        assert database.why_not_ready() is None

    @pytest.mark.parametrize("revision", known_migrations()[1:])
    def test_the_schema_of_an_earlier_release_is_brought_up_to_date(self, database, revision):
        database.upgrade(revision)

        migrate(database.settings)

        assert database.ask(APPLIED) == [(NEWEST,)]
        assert database.why_not_ready() is None

    def test_the_schema_of_this_release_is_unchanged(self, database):
        migrate(database.settings)
        before = database.ask(SCHEMA)

        migrate(database.settings)

        assert (database.ask(APPLIED), database.ask(SCHEMA)) == ([(NEWEST,)], before)

    def test_the_schema_of_a_later_release_is_unchanged_and_ready(self, database):
        migrate(database.settings)
        database.ask(LATER_SCHEMA)
        before = database.ask(SCHEMA)

        migrate(database.settings)

        assert (database.ask(APPLIED), database.ask(SCHEMA)) == ([(LATER,)], before)
        assert ("letters", "id") in [row[:2] for row in before]
        assert database.why_not_ready() is None

    def test_the_schema_of_an_earlier_release_is_not_ready_without_migrations(self, database):
        database.upgrade(known_migrations()[1])

        assert database.why_not_ready()

    def test_a_database_with_two_unrelated_migrations_is_refused(self, database):
        migrate(database.settings)
        database.ask(f"INSERT INTO alembic_version VALUES ('{LATER}')")

        with pytest.raises(StartError, match="cannot be migrated"):
            migrate(database.settings)

        assert sorted(database.ask(APPLIED)) == sorted([(NEWEST,), (LATER,)])

    def test_a_database_of_another_application_is_refused_and_unchanged(self, database):
        database.ask("CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('x')")

        with pytest.raises(StartError, match="cannot be migrated"):
            migrate(database.settings)

        assert (database.ask(APPLIED), {row[0] for row in database.ask(SCHEMA)}) == ([("x",)], {"alembic_version"})

    def test_an_absent_server_is_reported_in_a_sentence(self, base_settings):
        url = f"postgresql+psycopg2://ada:secret@127.0.0.1:{free_port()}/tasktracker"

        with pytest.raises(StartError) as caught:
            migrate(replace(base_settings, database_url=url))

        message = str(caught.value)
        assert message.startswith("the database of DATABASE_URL does not answer: connection to server at")
        assert message.endswith("Connection refused")
        assert "secret" not in message


class TestPrepare:
    def test_an_empty_database_gets_the_schema_and_one_admin(self, database):
        answer = database.prepare()

        assert (answer.returncode, answer.stderr) == (0, "")
        assert "Log in: admin, with the password of ADMIN_PASSWORD" in answer.stdout
        assert (database.ask(APPLIED), database.ask(ADMINS)) == ([(NEWEST,)], [("admin",)])

    def test_a_database_of_a_later_release_keeps_its_schema_and_its_admins(self, database):
        database.prepare()
        database.ask(LATER_SCHEMA)
        before = database.ask(SCHEMA)

        answer = database.prepare()

        assert (answer.returncode, answer.stderr) == (0, "")
        assert "with your existing admin account" in answer.stdout
        assert (database.ask(APPLIED), database.ask(SCHEMA)) == ([(LATER,)], before)
        assert database.ask(ADMINS) == [("admin",)]

    def test_two_starts_at_once_create_one_schema_and_one_admin(self, database):
        both = [database.start_preparing() for _ in range(2)]

        answers = [process.communicate(timeout=60) for process in both]

        assert [process.returncode for process in both] == [0, 0], answers
        assert (database.ask(APPLIED), database.ask(ADMINS)) == ([(NEWEST,)], [("admin",)])
        assert database.why_not_ready() is None


class OwnDatabase:
    def __init__(self, url, settings):
        self.url = url
        self.settings = replace(settings, database_url=url)

    def ask(self, statement):
        with closing(psycopg2.connect(self.url.replace("+psycopg2", ""))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def upgrade(self, revision):
        engine = create_engine(self.url)
        with engine.connect() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        engine.dispose()

    def why_not_ready(self):
        """Return what an api says about its migrations; None if it needs no others."""
        resources = Resources(self.settings, job_queue=FakeJobQueue())
        try:
            client = create_app(self.settings, resources=resources).test_client()
            answer = client.get("/readyz?exclude=worker&exclude=beat")
        finally:
            resources.engine.dispose()
        check = answer.json["checks"]["migrations"]
        assert check["ok"] == (answer.status_code == 200) == (check["reason"] is None)
        return check["reason"]

    def start_preparing(self):
        environment = {
            **os.environ,
            "DATABASE_URL": self.url.replace("+psycopg2", ""),
            "REDIS_URL": self.settings.redis_url,
            "CELERY_BROKER_URL": self.settings.celery_broker_url,
            "JWT_SECRET_KEY": self.settings.jwt_secret_key,
            "ADMIN_PASSWORD": PASSWORD,
        }
        return subprocess.Popen(
            [sys.executable, "main.py", "prepare"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def prepare(self):
        process = self.start_preparing()
        output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


@contextmanager
def empty_database(server_url):
    name = f"empty_{uuid4().hex[:12]}"
    servers._administer(server_url, "CREATE DATABASE {}", name)
    try:
        yield make_url(psycopg2_url(server_url)).set(database=name).render_as_string(hide_password=False)
    finally:
        servers._administer(server_url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def database(postgres_url, base_settings, redis, monkeypatch):
    """An empty database that DATABASE_URL names."""
    with empty_database(postgres_url) as url:
        monkeypatch.setenv("DATABASE_URL", url.replace("+psycopg2", ""))
        yield OwnDatabase(url, base_settings)
