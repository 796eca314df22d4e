"""Migrations that are killed at any statement, in any way, and are then run again."""

import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count

import psycopg2
import pytest
from sqlalchemy import Engine, event

from app.local.errors import StartError
from app.local.first_run import migrate
from migrations.timeouts import Timeouts
from tests.local.test_first_run import OwnDatabase, empty_database
from tests.servers import wait_for

# The ordinary suite tries every 17th statement; `make test-deep` tries each.
SAMPLE_STEP = 17


class TestKilledMigration:
    @pytest.mark.parametrize("how", ["process", "connection"])
    def test_is_finished_by_the_next_start(self, how, postgres_url, base_settings, complete_schema):
        for moment in count(SAMPLE_STEP, SAMPLE_STEP):
            if not is_finished_after(moment, how, postgres_url, base_settings, complete_schema):
                break

    @pytest.mark.deep
    @pytest.mark.parametrize("how", ["process", "connection"])
    def test_is_finished_by_the_next_start_after_a_death_at_any_statement(
        self, how, postgres_url, base_settings, complete_schema
    ):
        for moment in count(1):
            if not is_finished_after(moment, how, postgres_url, base_settings, complete_schema):
                break
        assert moment > 40

    @pytest.mark.deep
    def test_is_finished_after_a_death_between_any_two_ddl_commands(self, postgres_url, base_settings, complete_schema):
        """Many commands are sent as one string; the server itself ends the connection between two of them."""
        for moment in count(1):
            with empty_database(postgres_url) as url:
                database = OwnDatabase(url, base_settings)
                database.ask(END_AFTER_A_COMMAND.format(moment))
                try:
                    migrate(database.settings)
                except StartError as error:
                    assert "cut off" in str(error)  # noqa: PT017 - most moments raise, the last one does not
                else:
                    break
                database.ask("DROP EVENT TRIGGER end_behind_a_command; DROP SCHEMA tests CASCADE")
                migrate(database.settings)
                assert schema_of(database) == complete_schema, moment
        assert moment > 70

    @pytest.mark.parametrize("how", ["process", "connection"])
    def test_in_the_middle_of_an_index_build_is_finished_by_the_next_start(self, how, database, complete_schema):
        database.upgrade("2026_11_21_imports_in_pieces")
        with connection_to(database.url) as ask:
            ask(f"BEGIN; {WRITE}")
            migrating = start_migrating(database.settings)
            assert wait_for(lambda: database.ask(WAITING_BUILDS))
            ((backend,),) = database.ask(WAITING_BUILDS)

            if how == "process":
                os.kill(migrating.pid, signal.SIGKILL)
            database.ask(f"SELECT pg_terminate_backend({backend}, 5000)")
            migrating.join()
            ask("ROLLBACK")
        assert database.ask(INVALID_INDEXES) == [(1,)]

        migrate(database.settings)

        assert schema_of(database) == complete_schema


class TestStuckMigration:
    """An earlier release committed the tables of imports before it noted the revision."""

    @pytest.mark.parametrize("index", ["missing", "there", "invalid"])
    def test_is_finished(self, database, complete_schema, index):
        database.upgrade("2026_11_21_imports_in_pieces")
        if index != "missing":
            database.ask(
                "CREATE INDEX ix_tasks_project_id_external_ref ON tasks (project_id, external_ref)"
                " WHERE external_ref IS NOT NULL"
            )
        if index == "invalid":
            database.ask(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_tasks_project_id_external_ref'::regclass"
            )
            assert database.ask(INVALID_INDEXES) == [(1,)]
        database.ask("UPDATE alembic_version SET version_num = '2026_11_21_initial_schema'")

        migrate(database.settings)

        assert schema_of(database) == complete_schema


class TestMigrateAmongWriters:
    def test_an_index_build_waits_longer_than_other_statements(self, database, complete_schema, short_lock_timeout):
        database.upgrade("2026_11_21_imports_in_pieces")
        with connection_to(database.url) as ask, ThreadPoolExecutor(1) as threads:
            ask(f"BEGIN; {WRITE}")
            migrating = threads.submit(migrate, database.settings)
            assert wait_for(lambda: database.ask(f"{WAITING_BUILDS} AND now() - query_start > interval '2 s'"))
            ask("COMMIT")
            migrating.result(timeout=30)

        assert schema_of(database) == complete_schema

    @pytest.mark.deep
    def test_an_index_build_waits_for_a_transaction_of_eight_seconds(self, database, complete_schema):
        database.upgrade("2026_11_21_imports_in_pieces")
        with connection_to(database.url) as ask, ThreadPoolExecutor(1) as threads:
            ask(f"BEGIN; {WRITE}")
            migrating = threads.submit(migrate, database.settings)
            assert wait_for(lambda: database.ask(f"{WAITING_BUILDS} AND now() - query_start > interval '8 s'"))
            ask("COMMIT")
            migrating.result(timeout=30)

        assert schema_of(database) == complete_schema

    def test_a_migration_retries_a_locked_table(self, database, complete_schema, short_lock_timeout):
        database.upgrade("2026_11_21_import_checking")
        with connection_to(database.url) as ask, ThreadPoolExecutor(1) as threads:
            ask("BEGIN; LOCK TABLE tasks IN SHARE MODE")
            migrating = threads.submit(migrate, database.settings)
            assert wait_for(lambda: database.ask(WAITING_CHANGES))
            first = database.ask(WAITING_CHANGES)
            assert wait_for(lambda: database.ask(WAITING_CHANGES) not in ([], first))
            ask("COMMIT")
            migrating.result(timeout=30)

        assert schema_of(database) == complete_schema

    def test_a_deadlock_is_retried(self, database, complete_schema):
        database.ask(DEADLOCK_ONCE)

        migrate(database.settings)

        assert database.ask("SELECT last_value > 1 FROM tests.commands") == [(True,)]
        database.ask("DROP EVENT TRIGGER deadlock_once; DROP SCHEMA tests CASCADE")
        assert schema_of(database) == complete_schema

    def test_a_transaction_that_reads_projects_and_then_users_is_let_through(self, database, complete_schema):
        database.upgrade("2026_11_26_api_tokens")
        with connection_to(database.url) as ask, ThreadPoolExecutor(1) as threads:
            ask("BEGIN; SELECT FROM projects")
            migrating = threads.submit(migrate, database.settings)
            assert wait_for(lambda: database.ask(WAITING_CHANGES.replace("tasks", "projects")))
            ask("SET LOCAL lock_timeout = '500ms'; SELECT FROM users; COMMIT")
            migrating.result(timeout=30)

        assert schema_of(database) == complete_schema

    def test_a_lasting_lock_is_reported_and_the_next_start_works(
        self, database, complete_schema, short_lock_timeout, monkeypatch
    ):
        monkeypatch.setattr("app.local.first_run.LOCKED_TABLES_SECONDS", 1.0)
        database.upgrade("2026_11_21_import_checking")
        with connection_to(database.url) as ask:
            ask("BEGIN; LOCK TABLE tasks IN SHARE MODE")
            with pytest.raises(StartError, match="kept its tables locked for 1 s; end it"):
                migrate(database.settings)
            ask("ROLLBACK")

        migrate(database.settings)

        assert schema_of(database) == complete_schema


def is_finished_after(moment, how, postgres_url, settings, complete_schema):
    """Return False if the migrations have fewer moments than this."""
    with empty_database(postgres_url) as url:
        database = OwnDatabase(url, settings)
        migrating = start_migrating(database.settings, moment, how)
        migrating.join()
        if migrating.exitcode == 0:
            return False
        assert migrating.exitcode == (-signal.SIGKILL if how == "process" else CUT_OFF)
        migrate(database.settings)
        assert schema_of(database) == complete_schema, moment
        return True


def start_migrating(settings, moment=None, how="process"):
    process = forkserver.Process(target=migrate_until, args=(settings, moment, how))
    process.start()
    return process


def migrate_until(settings, moment, how):
    """Run the migrations in a process of its own, which ends at this statement or commit; at none if it is None."""
    reached = 0

    def reach(connection, *_):
        nonlocal reached
        reached += 1
        if reached == moment:
            if how == "process":
                os.kill(os.getpid(), signal.SIGKILL)
            pid = connection.connection.dbapi_connection.info.backend_pid
            with connection_to(settings.database_url) as ask:
                ask(f"SELECT pg_terminate_backend({pid}, 5000)")

    event.listen(Engine, "before_cursor_execute", reach)
    event.listen(Engine, "commit", reach)
    try:
        migrate(settings)
    except StartError as error:
        os._exit(CUT_OFF if "cut off" in str(error) else 1)


@contextmanager
def connection_to(url):
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True

        def ask(statement):
            with connection.cursor() as cursor:
                cursor.execute(statement)

        yield ask


def schema_of(database):
    return database.ask(SCHEMA)


CUT_OFF = 75
forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload(["tests.local.test_interrupted_migrations"])

# Every transaction that writes a task holds this lock.
WRITE = "LOCK TABLE tasks IN ROW EXCLUSIVE MODE"
WAITING_CHANGES = """
SELECT pid, query_start FROM pg_stat_activity
 WHERE datname = current_database() AND query LIKE '%ALTER TABLE tasks%' AND wait_event_type = 'Lock'
"""
WAITING_BUILDS = """
SELECT pid FROM pg_stat_activity
 WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'
"""
INVALID_INDEXES = "SELECT count(*) FROM pg_index WHERE NOT indisvalid HAVING count(*) > 0"
END_AFTER_A_COMMAND = """
CREATE SCHEMA tests;
CREATE SEQUENCE tests.commands;
CREATE FUNCTION tests.end_behind_a_command() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('tests.commands') = {} THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
    END IF;
END $$;
CREATE EVENT TRIGGER end_behind_a_command ON ddl_command_end EXECUTE FUNCTION tests.end_behind_a_command();
"""
DEADLOCK_ONCE = """
CREATE SCHEMA tests;
CREATE SEQUENCE tests.commands;
CREATE FUNCTION tests.deadlock_once() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('tests.commands') = 1 THEN
        RAISE EXCEPTION 'a deadlock' USING ERRCODE = 'deadlock_detected';
    END IF;
END $$;
CREATE EVENT TRIGGER deadlock_once ON ddl_command_end EXECUTE FUNCTION tests.deadlock_once();
"""
SCHEMA = """
SELECT 'column', c.relname, a.attname,
       concat_ws(' ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                 pg_get_expr(d.adbin, d.adrelid), c.reloptions::text)
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
UNION ALL
SELECT 'index', c.relname, pg_get_indexdef(c.oid), concat_ws(' ', i.indisvalid, i.indisready)
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'function', proname, '', pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'label', t.typname, e.enumlabel, rank() OVER (PARTITION BY t.oid ORDER BY enumsortorder)::text
  FROM pg_enum AS e JOIN pg_type AS t ON t.oid = enumtypid
UNION ALL
SELECT 'project', key, name, includes_everyone::text FROM projects
UNION ALL
SELECT 'revision', version_num, '', '' FROM alembic_version
UNION ALL
SELECT 'boundary', closed_until::text, '', '' FROM record_boundary
 ORDER BY 1, 2, 3, 4
"""


@pytest.fixture(scope="module")
def complete_schema(postgres_url, base_settings):
    with empty_database(postgres_url) as url:
        database = OwnDatabase(url, base_settings)
        migrate(database.settings)
        return schema_of(database)


@pytest.fixture
def database(postgres_url, base_settings):
    with empty_database(postgres_url) as url:
        yield OwnDatabase(url, base_settings)


@pytest.fixture
def short_lock_timeout(monkeypatch):
    """Make a migration give up an ordinary lock after a second."""
    monkeypatch.setattr("migrations.timeouts.ORDINARY", Timeouts(lock_seconds=1, statement_seconds=300))
