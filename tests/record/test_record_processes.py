"""Ten days of the record with real servers, workers and beats that are killed: each day is closed once, as it was."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class that is named like a variable
from redis import Redis

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.composition.services import serving
from app.job_queue import CeleryJobQueue, JobName
from app.jobs.celery_app import make_celery
from app.local.servers import ValkeyServer
from app.models.people.user import Role
from app.models.tasks.fields import ACTIVE_STATUSES, TaskPriority, TaskStatus
from app.settings import Settings
from tests import servers
from tests.servers import ROOT, broker, own_user, running, wait_for

# A month ends within these days, and one day has 25 hours.
ZONE = ZoneInfo("Europe/Berlin")
FIRST_DAY = date(2026, 10, 24)
DAYS = [FIRST_DAY + timedelta(days=number) for number in range(10)]
TICK = timedelta(microseconds=1)

# With this many tasks a day takes long enough to log that a worker can be killed meanwhile.
TASKS = 3_000
BUSY_TASKS = 20
CHANGES_A_DAY = 8
WORKERS = 3
BEATS = 2
# The real beat, sending its ticks every half second; at the usual interval the test would take an hour.
BEAT = """
import sys
from celery_worker import celery_app
celery_app.conf.beat_schedule["log due days"]["schedule"] = 0.5
celery_app.start(sys.argv[1:])
"""

Row = tuple[object, ...]
Rows = dict[int, Row]


@pytest.mark.slow
class TestTenDays:
    def test_each_is_closed_once_and_as_it_was(self, stage):
        moments = random.Random(11)  # noqa: S311 - when to kill is no secret
        model = Model(stage, moments)
        midnights = [
            stage.see_it_closed,
            stage.kill_workers_meanwhile,
            stage.flush_redis,
            stage.see_it_wait_for_a_writer,
            stage.have_no_worker,
            stage.have_no_worker,
            stage.kill_workers_meanwhile,
            stage.flush_redis,
            stage.see_it_wait_for_a_writer,
            stage.kill_workers_meanwhile,
        ]

        stage.tell_clock(start_of(FIRST_DAY))
        model.create_many(TASKS)
        with stage.busy_writer():
            for day, pass_midnight in zip(DAYS, midnights, strict=True):
                for moment in moments_of(day, moments):
                    stage.tell_clock(moment)
                    model.change_something()
                    stage.kill_or_start_one(moments)
                pass_midnight(day, model, moments)
                stage.remember_closed_days()
            stage.start_all()
            stage.ring()
            assert wait_for(lambda: stage.list_closed_days() == DAYS, seconds=30)

        assert stage.kill_count >= len(DAYS)
        assert stage.ask("SELECT log_date, is_final, task_count, time_zone FROM log_runs ORDER BY log_date") == [
            (day, True, len(stage.list_logged(day)), ZONE.key) for day in DAYS
        ]
        assert stage.ask("SELECT count(*) - count(DISTINCT (log_date, task_id)) FROM task_logs") == [(0,)]
        for day in DAYS:
            logged = stage.list_logged(day)
            assert logged == stage.fold_history(start_of(day + timedelta(days=1)) - TICK)
            busy = stage.busy_ids
            assert {task_id: row for task_id, row in logged.items() if task_id not in busy} == model.expected[day]
            # The tasks of the writer that never paused stay active; the test does not know its last change.
            assert busy <= logged.keys()
        stage.remember_closed_days()


class Model:
    """The changes made to the tasks, and the log that each day should therefore have."""

    def __init__(self, stage: "Stage", moments: random.Random) -> None:
        self._stage = stage
        self._random = moments
        self._tasks: dict[int, dict[str, Any]] = {}
        self._deleted: dict[int, dict[str, Any]] = {}
        self.expected: dict[date, Rows] = {}

    def create_many(self, count: int) -> None:
        for task_id, number, title in self._stage.insert_tasks("Task", count):
            self._tasks[task_id] = {"number": number, "title": title, "status": "todo", "priority": "medium"}

    def end_day(self, day: date) -> None:
        project_id = self._stage.project_id
        self.expected[day] = {
            task_id: (project_id, task["number"], task["title"], task["status"], task["priority"])
            for task_id, task in self._tasks.items()
            if task["status"] in ACTIVE_STATUSES
        }

    def change_something(self) -> None:
        choices = [self._create, self._change, self._change_many, self._delete, self._remove, self._restore]
        for change in self._random.sample(choices, 3):
            change()

    def rename_uncommitted(self, connection: Connection) -> Callable[[], None]:
        """Return what makes it true."""
        task_id = self._pick()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE tasks SET title = 'Just before midnight' WHERE id = %s", (task_id,))

        def commit() -> None:
            connection.commit()
            self._tasks[task_id]["title"] = "Just before midnight"

        return commit

    def _create(self) -> None:
        title = f"Created {len(self._tasks)}"
        status = self._random.choice([*TaskStatus])
        with self._stage.serving() as services:
            view = services.tasks.create(self._stage.actor, {"title": title, "status": status})
        ((number,),) = self._stage.ask("SELECT number FROM tasks WHERE id = %s", view.id)
        self._tasks[view.id] = {"number": number, "title": title, "status": status, "priority": "medium"}

    def _change(self) -> None:
        task_id = self._pick()
        changes = {
            "title": f"Changed {self._random.random()}",
            "status": self._random.choice([*TaskStatus]),
            "priority": self._random.choice([*TaskPriority]),
        }
        with self._stage.serving() as services:
            services.tasks.change(self._stage.actor, task_id, {**changes})  # type: ignore[typeddict-item]
        self._tasks[task_id].update(changes)

    def _change_many(self) -> None:
        task_ids = self._random.sample([*self._tasks], 200)
        status = self._random.choice([*TaskStatus])
        self._stage.execute("UPDATE tasks SET status = %s WHERE id = ANY(%s)", status, task_ids)
        for task_id in task_ids:
            self._tasks[task_id]["status"] = status

    def _delete(self) -> None:
        task_id = self._pick()
        with self._stage.serving() as services:
            services.tasks.delete(self._stage.actor, task_id)
        self._deleted[task_id] = self._tasks.pop(task_id)

    def _restore(self) -> None:
        if self._deleted:
            task_id = self._random.choice([*self._deleted])
            with self._stage.serving() as services:
                services.tasks.restore(self._stage.actor, task_id)
            self._tasks[task_id] = self._deleted.pop(task_id)

    def _remove(self) -> None:
        task_id = self._pick()
        self._stage.execute("DELETE FROM tasks WHERE id = %s", task_id)
        del self._tasks[task_id]

    def _pick(self) -> int:
        return self._random.choice([*self._tasks])


class Stage:
    """The servers, workers and beats, and the clock that the record goes by."""

    def __init__(self, database_url: str, redis_url: str, settings: Settings, stack: ExitStack) -> None:
        self._url = database_url.replace("postgresql+psycopg2://", "postgresql://")
        self._redis_url = redis_url
        self._environment = {
            **os.environ,
            "DATABASE_URL": self._url,
            "REDIS_URL": redis_url,
            "CELERY_BROKER_URL": broker(redis_url),
            "JWT_SECRET_KEY": settings.jwt_secret_key,
            "TIME_ZONE": ZONE.key,
            "LOG_LEVEL": "WARNING",
        }
        self._connection = self._connect(stack)
        self._connection.autocommit = True
        self._threads = ThreadPoolExecutor(4)
        stack.callback(self._threads.shutdown)
        settings = replace(
            settings,
            database_url=database_url,
            redis_url=redis_url,
            celery_broker_url=broker(redis_url),
            time_zone=ZONE,
        )
        self._resources = Resources(settings, job_queue=CeleryJobQueue(make_celery(settings)))
        stack.callback(self._resources.engine.dispose)
        self._settings = settings
        self._stack = stack
        self._closed_days: dict[date, str] = {}
        self.kill_count = 0
        ((self.project_id,),) = self.ask("SELECT id FROM projects WHERE key = 'GEN'")
        ((admin_id,),) = self.ask(
            "INSERT INTO users (username, password_hash, role) VALUES ('admin', 'x', 'admin') RETURNING id"
        )
        self.actor = Actor(admin_id, "admin", Role.ADMIN, frozenset(), session_id=UUID(int=0))
        self.busy_ids: set[int] = set()
        self._processes: dict[str, subprocess.Popen[bytes] | None] = {
            **{f"worker{number}": None for number in range(WORKERS)},
            **{f"beat{number}": None for number in range(BEATS)},
        }
        stack.callback(self._kill_all)
        self.start_all()

    def serving(self):
        return serving(self._resources)

    def tell_clock(self, now: datetime) -> None:
        self.execute("UPDATE test_clock SET now = %s", now)

    # --- midnights

    def see_it_closed(self, day: date, model: Model, _moments: random.Random) -> None:
        self._end(day, model)
        self.start_all()
        self.ring()
        assert wait_for(lambda: day in self.list_closed_days(), seconds=30)

    def kill_workers_meanwhile(self, day: date, model: Model, moments: random.Random) -> None:
        self.start_all()
        # A beat that starts sends ticks at once, so a worker that is killed in a quiet moment is killed at work.
        for _ in range(2):
            self._end(day, model)
            rings = [self._threads.submit(self.ring) for _ in range(4)]
            time.sleep(moments.uniform(0, 0.3))
            self.kill(f"worker{moments.randrange(WORKERS)}")
            self.kill(f"beat{moments.randrange(BEATS)}")
            for ring in rings:
                ring.result()

    def flush_redis(self, day: date, model: Model, moments: random.Random) -> None:
        self._end(day, model)
        self.ring()
        time.sleep(moments.uniform(0, 0.1))
        with Redis.from_url(self._redis_url) as redis:
            redis.flushall()

    def have_no_worker(self, day: date, model: Model, _moments: random.Random) -> None:
        for name in self._processes:
            if name.startswith("worker"):
                self.kill(name)
        self._end(day, model)
        self.ring()
        assert day not in self.list_closed_days()

    def see_it_wait_for_a_writer(self, day: date, model: Model, _moments: random.Random) -> None:
        """A transaction that began before midnight writes into that day, so the day cannot be closed yet."""
        midnight = start_of(day + timedelta(days=1))
        self.start_all()
        connection = self._connect(self._stack)
        commit = model.rename_uncommitted(connection)
        self.tell_clock(midnight + timedelta(minutes=1))
        self.ring()
        assert wait_for(lambda: self.ask("SELECT closed_until FROM record_boundary") == [(midnight,)], seconds=30)
        self.ring()
        time.sleep(1)
        assert day not in self.list_closed_days()
        commit()
        model.end_day(day)
        self.ring()
        assert wait_for(lambda: day in self.list_closed_days(), seconds=30)

    def _end(self, day: date, model: Model) -> None:
        model.end_day(day)
        self.tell_clock(start_of(day + timedelta(days=1)))

    # --- processes

    def ring(self) -> None:
        """Use another client each time."""
        CeleryJobQueue(make_celery(self._settings)).enqueue(JobName.LOG_DUE_DAYS)

    def kill_or_start_one(self, moments: random.Random) -> None:
        name = moments.choice([*self._processes])
        if self._processes[name] is None:
            self._start(name)
        elif moments.random() < 0.2:
            self.kill(name)

    def kill(self, name: str) -> None:
        process = self._processes[name]
        if process is not None:
            self._processes[name] = None
            self.kill_count += 1
            assert process.poll() is None, f"{name} ended by itself"
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start_all(self) -> None:
        for name, process in self._processes.items():
            if process is None:
                self._start(name)

    def _start(self, name: str) -> None:
        if name.startswith("worker"):
            program = ["-m", "celery", "--quiet", "-A", "celery_worker"]
            options = ["worker", "--concurrency", "1", "--without-gossip", "--without-mingle", "-n", f"{name}@%h"]
        else:
            program = ["-c", BEAT]
            options = ["beat", "--scheduler", "celery.beat:Scheduler", "--schedule", "/dev/null", "--pidfile", ""]
        self._processes[name] = subprocess.Popen(
            [sys.executable, *program, *options],
            cwd=ROOT,
            env=self._environment,
            process_group=0,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

    def _kill_all(self) -> None:
        for process in self._processes.values():
            if process is not None and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    # --- the writer that never pauses

    def busy_writer(self) -> ExitStack:
        """Changes tasks of its own through every midnight."""
        self.busy_ids = {task_id for task_id, *_ in self.insert_tasks("Busy", BUSY_TASKS)}
        is_over = Event()

        def write() -> None:
            number = 0
            while not is_over.wait(0.03):
                number += 1
                with self.serving() as services:
                    task_id = min(self.busy_ids) + number % BUSY_TASKS
                    services.tasks.change(self.actor, task_id, {"title": f"Busy {number}"})

        writing = self._threads.submit(write)
        stack = ExitStack()
        # An error in the writer fails the test.
        stack.callback(lambda: writing.result(timeout=10))
        stack.callback(is_over.set)
        return stack

    # --- asking

    def insert_tasks(self, title: str, count: int) -> list[tuple[Any, ...]]:
        return self.ask(
            """
            WITH numbered AS (
                UPDATE projects SET last_task_number = last_task_number + %s WHERE id = %s RETURNING last_task_number
            )
            INSERT INTO tasks (project_id, number, position, title, status, priority, creator_id)
            SELECT %s, last_task_number - n, 0, %s || ' ' || n, 'todo', 'medium', %s
              FROM numbered, generate_series(0, %s - 1) AS n
            RETURNING id, number, title
            """,
            *(count, self.project_id, self.project_id, title, self.actor.user_id, count),
        )

    def list_closed_days(self) -> list[date]:
        return [day for (day,) in self.ask("SELECT log_date FROM log_runs WHERE is_final ORDER BY log_date")]

    def remember_closed_days(self) -> None:
        """A closed day never changes, and neither do the ids of its rows."""
        found = self.ask("""
            SELECT log_date, md5(string_agg(l::text, ',' ORDER BY task_id)) FROM task_logs AS l
              JOIN log_runs USING (log_date) WHERE is_final GROUP BY log_date
        """)
        assert self._closed_days.items() <= dict(found).items()
        self._closed_days = dict(found)

    def list_logged(self, day: date) -> Rows:
        rows = self.ask(
            "SELECT task_id, project_id, number, title, status, priority FROM task_logs WHERE log_date = %s", day
        )
        return {task_id: tuple(row) for task_id, *row in rows}

    def fold_history(self, instant: datetime) -> Rows:
        """List the tasks that were active at the instant, by history alone."""
        rows = self.ask(
            """
            SELECT task_id, project_id, number, title, status, priority FROM task_history
             WHERE valid_from <= %s AND %s < valid_to AND deleted_at IS NULL AND status NOT IN ('done', 'cancelled')
            """,
            *(instant, instant),
        )
        assert len(rows) == len({task_id for task_id, *_ in rows})
        return {task_id: tuple(row) for task_id, *row in rows}

    def execute(self, statement: str, *arguments: object) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, arguments)

    def ask(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)
            return cursor.fetchall()

    def _connect(self, stack: ExitStack) -> Connection:
        connection = psycopg2.connect(self._url, options="-c timezone=UTC -c lock_timeout=10s")
        stack.callback(connection.close)
        return connection


def start_of(day: date) -> datetime:
    return datetime.combine(day, time_of_day.min, tzinfo=ZONE).astimezone(UTC)


def moments_of(day: date, moments: random.Random) -> list[datetime]:
    """List the instants in order; the last one is the last of the day."""
    begin, end = start_of(day), start_of(day + timedelta(days=1))
    chosen = {begin + (end - begin) * moments.random() for _ in range(CHANGES_A_DAY - 1)}
    return [*sorted(chosen), end - TICK]


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, base_settings: Settings) -> Iterator[Stage]:
    directory: Path = tmp_path_factory.mktemp("stage")
    with ExitStack() as stack:
        valkey = ValkeyServer(directory, own_user(), "test-password")
        stack.enter_context(running(valkey))
        url = stack.enter_context(servers.migrated_database(postgres_url, has_simulated_clock=True))
        yield Stage(url, valkey.url(0), base_settings, stack)
