"""An import's rows land once each, whatever dies meanwhile: real servers, real workers, real signals."""

import io
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from redis import Redis

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.composition.services import serving
from app.job_queue import CeleryJobQueue, JobName
from app.jobs.celery_app import make_celery
from app.local.first_run import migrate
from app.local.servers import PostgresServer, ValkeyServer
from app.models.imports.task_import import ImportMode
from app.models.people.user import Role
from app.services.imports.imports import ImportOptions
from app.settings import psycopg2_url
from tests.servers import ROOT, own_user, running, wait_for

ROWS = 50_000
# The rows of the first four blocks are below rows of the fifth, so they get their parents after all have been created.
ROWS_OF_TREE = 20_000
KILLS_OF_LINKS = 6
KILLS = 10
SECONDS_TO_GO_ON = 30.0


@pytest.mark.slow
class TestKilledWorkers:
    def test_every_row_lands_once(self, stage):
        import_id = stage.upload(ROWS)
        moments = random.Random(7)  # noqa: S311 - when to kill is no secret
        stage.start_worker()

        for kill in range(KILLS):
            block_seconds = stage.wait_until_taken_up(import_id, is_to_commit=kill % 2 == 0)
            time.sleep(moments.uniform(0, block_seconds))
            stage.kill_worker()
            if kill == KILLS // 3:
                stage.restart_postgres()
            if kill == 2 * KILLS // 3:
                stage.flush_redis()
            assert not stage.is_finished(import_id), "the file is too small to be killed so often"
            if kill % 5:
                stage.end_claim(import_id)
            stage.start_worker()

        assert wait_for(lambda: stage.is_finished(import_id), seconds=60)
        assert stage.ask("SELECT state, created_count, refused_count, failure FROM imports") == [
            ("finished", ROWS, 0, None)
        ]
        # Each once, none missing, and numbered without a gap or a double.
        assert stage.ask("SELECT count(*), count(DISTINCT title), min(number), max(number) FROM tasks") == [
            (ROWS, ROWS, 1, ROWS)
        ]
        assert stage.ask("SELECT count(*) FROM import_blocks") == [(0,)]

    def test_every_parent_is_set_once(self, stage):
        import_id = stage.upload_tree()
        stage.start_worker()

        step = 0
        for _ in range(KILLS_OF_LINKS):
            step = stage.wait_for_link_step(import_id, after=step)
            stage.kill_worker()
            assert not stage.is_finished(import_id), "the file is too small to be killed so often"
            stage.end_claim(import_id)
            stage.start_worker()

        assert wait_for(lambda: stage.is_finished(import_id), seconds=60)
        assert stage.ask("SELECT state, created_count, error_count, failure FROM imports") == [
            ("finished", ROWS_OF_TREE, 0, None)
        ]
        children = ROWS_OF_TREE * 4 // 5
        assert stage.ask(
            """
            SELECT count(*), count(*) FILTER (WHERE p.title = 'Row ' || (%s + substr(c.title, 5)::int %% %s))
              FROM tasks AS c JOIN tasks AS p ON p.id = c.parent_id
            """,
            children,
            ROWS_OF_TREE - children,
        ) == [(children, children)]
        # No parent was set twice.
        assert stage.ask("SELECT count(*) FROM task_history") == [(ROWS_OF_TREE + children,)]
        assert stage.ask("SELECT count(*) FROM import_links") == [(0,)]


@pytest.mark.deep
class TestPoisonedFile:
    @pytest.mark.parametrize("mode", ImportMode)
    def test_that_kills_its_worker_each_time_is_given_up_after_five_attempts(self, stage, mode):
        poison_id = stage.upload(3, filename="poison.csv", mode=mode)
        stage.start_worker(app="tests.poisoned_worker")
        healthy_id = stage.upload(4)

        assert wait_for(lambda: stage.ring() or stage.is_finished(poison_id), seconds=90)

        assert stage.ask(
            "SELECT state, failure, claim_number, created_count FROM imports WHERE id = %s", poison_id
        ) == [("failed", "5 attempts to go on from row 1 broke off", 5, 0)]
        assert wait_for(lambda: stage.ring() or stage.is_finished(healthy_id))
        assert stage.ask("SELECT count(*) FROM tasks") == [(4,)]
        assert stage.ask("SELECT count(*) FROM import_blocks") == [(0,)]


class Stage:
    """The servers, one worker at a time, beat, and whoever uploads."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        user = own_user()
        self._stack = stack
        self._postgres = PostgresServer(directory / "postgres", user)
        self._postgres_stack = ExitStack()
        stack.callback(self._postgres_stack.close)
        self._postgres_stack.enter_context(running(self._postgres))
        self._postgres.make_database()
        valkey = ValkeyServer(directory / "valkey", user, "test-password")
        stack.enter_context(running(valkey))
        self._redis_url = valkey.url(0)
        self._environment = {
            **os.environ,
            "DATABASE_URL": self._postgres.url,
            "REDIS_URL": self._redis_url,
            "JWT_SECRET_KEY": "a secret of the tests that is long enough",
            "LOG_LEVEL": "WARNING",
        }
        self._worker: subprocess.Popen[bytes] | None = None
        self._claims_seen = 0
        self._block_seconds = 0.0
        stack.callback(self.kill_worker)

    def prepare(self, resources: Resources) -> None:
        settings = replace(resources.settings, database_url=psycopg2_url(self._postgres.url), redis_url=self._redis_url)
        settings = replace(settings, celery_broker_url=self._redis_url)
        migrate(settings)
        self._resources = Resources(settings, job_queue=CeleryJobQueue(make_celery(settings)))
        self._stack.callback(self._resources.engine.dispose)
        with serving(self._resources) as services:
            services.people.create_first_admin(
                username="admin", email="admin@example.org", password="long enough for an admin"
            )
        beat = self._start("beat", "--scheduler", "celery.beat:Scheduler", "--schedule", "/dev/null")
        self._stack.callback(_kill_group, beat)

    def upload(self, rows: int, *, filename: str = "rows.csv", mode: ImportMode = ImportMode.SKIP_BAD) -> int:
        lines = "".join(f"Row {number},{'what it is about ' * 40},todo,ada\n" for number in range(rows))
        return self._send(f"title,description,status,assignee\n{lines}", filename, mode)

    def upload_tree(self) -> int:
        first_parent = ROWS_OF_TREE * 4 // 5
        lines = [
            f"Row {number},OLD-{number}," + (f"OLD-{first_parent + number % (ROWS_OF_TREE - first_parent)}\n")
            for number in range(first_parent)
        ]
        lines += [f"Row {number},OLD-{number},\n" for number in range(first_parent, ROWS_OF_TREE)]
        return self._send(f"title,ref,parent\n{''.join(lines)}", "tree.csv", ImportMode.SKIP_BAD)

    def _send(self, content: str, filename: str, mode: ImportMode) -> int:
        file = io.BytesIO(content.encode())
        (admin_id,) = self.ask("SELECT id FROM users WHERE username = 'admin'")[0]
        with serving(self._resources) as services:
            grant = services.login.log_in(login="admin", password="long enough for an admin", address="127.0.0.1")
            actor = Actor(admin_id, "admin", Role.ADMIN, frozenset(), session_id=grant.session_id)
            options = ImportOptions(mode=mode)
            return services.imports.import_csv(
                actor, file, filename=filename, options=options, wait_seconds=0
            ).import_id

    def end_claim(self, import_id: int) -> None:
        """Save the wait until the dead worker's claim has run out; it runs out by itself after some of the kills."""
        connection = psycopg2.connect(self._postgres.url)
        with closing(connection), connection, connection.cursor() as cursor:
            cursor.execute("UPDATE imports SET claimed_until = now() WHERE id = %s", (import_id,))
        self.ring()

    def ring(self) -> None:
        """As beat does every five seconds."""
        self._resources.job_queue.enqueue(JobName.RUN_IMPORTS)

    def start_worker(self, *, app: str = "celery_worker") -> None:
        self._worker = self._start("worker", "--concurrency", "1", "--without-gossip", "--without-mingle", app=app)

    def kill_worker(self) -> None:
        if self._worker is not None:
            _kill_group(self._worker)

    def wait_until_taken_up(self, import_id: int, *, is_to_commit: bool) -> float:
        """By a worker that was not killed yet, or until that one committed something; return a block's seconds.

        So soon after a crash that nobody waits for half a minute.
        """
        state = "SELECT claim_number, next_block FROM imports WHERE id = %s"
        assert wait_for(lambda: self.ask(state, import_id)[0][0] > self._claims_seen, seconds=SECONDS_TO_GO_ON)
        claim_number, next_block = self.ask(state, import_id)[0]
        self._claims_seen = claim_number
        started = time.monotonic()
        if is_to_commit:
            assert wait_for(lambda: self.ask(state, import_id)[0][1] > next_block)
            self._block_seconds = time.monotonic() - started
        return self._block_seconds

    def wait_for_link_step(self, import_id: int, *, after: int) -> int:
        """The first step comes after the whole file was loaded, which takes long on a busy machine."""
        statement = "SELECT next_link_step FROM imports WHERE id = %s"
        patience = SECONDS_TO_GO_ON if after else 4 * SECONDS_TO_GO_ON
        assert wait_for(lambda: self.ask(statement, import_id)[0][0] > after, seconds=patience)
        step = self.ask(statement, import_id)[0][0]
        assert isinstance(step, int)
        return step

    def restart_postgres(self) -> None:
        self._postgres_stack.close()
        self._postgres_stack.enter_context(running(self._postgres))

    def flush_redis(self) -> None:
        with Redis.from_url(self._redis_url) as redis:
            redis.flushall()

    def is_finished(self, import_id: int) -> bool:
        return self.ask("SELECT finished_at IS NOT NULL FROM imports WHERE id = %s", import_id) == [(True,)]

    def ask(self, statement: str, *arguments: object) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(self._postgres.url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, arguments)
                return cursor.fetchall()
        finally:
            connection.close()

    def _start(self, *arguments: str, app: str = "celery_worker") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "--quiet", "-A", app, *arguments]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self._environment,
            process_group=0,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory, resources: Resources) -> Iterator[Stage]:
    with ExitStack() as stack:
        stage = Stage(tmp_path_factory.mktemp("stage"), stack)
        stage.prepare(resources)
        yield stage
