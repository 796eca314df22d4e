"""A tracker's services on a database of their own, with a clock that the test sets."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from threading import Barrier
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class that is named like a variable

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.composition.services import serving
from app.models.people.user import Role
from app.settings import Settings
from tests.fakes import FakeJobQueue, FixedClock
from tests.record.days import USERS
from tests.record.model import Rows

# As `now()` does, the clock stands still for the open transaction; the other transactions end at once.
_NOW = """
    CREATE OR REPLACE FUNCTION record_now() RETURNS timestamptz LANGUAGE sql STABLE AS $$
        SELECT coalesce(nullif(current_setting('test.begun_at', true), '')::timestamptz, (SELECT now FROM test_clock))
    $$
"""


class Stage:
    """The services on a database of their own, where everything is committed; and those who write past them."""

    def __init__(self, database_url: str, settings: Settings) -> None:
        url = database_url.replace("postgresql+psycopg2://", "postgresql://")
        self._connection = _connect(url)
        self._connection.autocommit = True
        self._held_connection = _connect(url)
        self._threads = ThreadPoolExecutor(2)
        self._serial = 0
        self._make_people_and_projects()
        self.execute(_NOW)
        self.clock = FixedClock(datetime.now(UTC), tell=self._tell_database)
        self.resources = Resources(
            replace(settings, database_url=database_url), job_queue=FakeJobQueue(), clock=self.clock
        )

    def close(self) -> None:
        self._threads.shutdown()
        self.resources.engine.dispose()
        self._held_connection.close()
        self._connection.close()

    def begin(self, zone: ZoneInfo) -> None:
        """Empty the tables. History can be rewritten only while its triggers are off."""
        self.end_held(commits=False)
        self.execute("ROLLBACK")
        self.execute(
            """
            SET session_replication_role = replica;
            DELETE FROM task_history; DELETE FROM task_logs; DELETE FROM log_runs; DELETE FROM log_requests;
            DELETE FROM imports; DELETE FROM import_blocks; DELETE FROM import_drafts; DELETE FROM import_links;
            DELETE FROM tasks;
            UPDATE record_boundary SET closed_until = '-infinity';
            UPDATE projects SET last_task_number = 0;
            SET session_replication_role = origin;
            """
        )
        # The first job of a month makes its partition.
        for (partition,) in self.ask(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'task_logs'::regclass"
        ):
            self.execute(f"DROP TABLE {partition}")
        self.resources.settings = replace(self.resources.settings, time_zone=zone)

    def log_due_days(self) -> list[date]:
        with serving(self.resources) as services:
            return services.daily_log.log_due_days()

    def log_due_days_twice_at_once(self) -> list[date]:
        barrier = Barrier(2, timeout=10)

        def log() -> list[date]:
            barrier.wait()
            return self.log_due_days()

        jobs = [self._threads.submit(log) for _ in range(2)]
        return [day for job in jobs for day in job.result()]

    def list_history(self) -> list[tuple[Any, ...]]:
        rows = self.ask("""
            SELECT task_id, revision, valid_from, nullif(valid_to, 'infinity'), title, status, priority, assignee_id,
                   labels, due_at, project_id, number, external_ref, deleted_at IS NOT NULL
              FROM task_history ORDER BY task_id, revision
        """)
        return [(*row[:8], tuple(row[8]), *row[9:]) for row in rows]

    def list_logs(self) -> list[tuple[Any, ...]]:
        return self.ask("""
            SELECT log_date, task_id, project_id, number, title, status, priority, assignee_id, due_at FROM task_logs
        """)

    def fold_history(self, instant: datetime) -> Rows:
        """List the tasks that were active at the instant, by history alone."""
        return {
            *self.ask(
                """
                SELECT task_id, project_id, number, title, status, priority, assignee_id, due_at FROM task_history
                 WHERE valid_from <= %s AND %s < valid_to
                   AND deleted_at IS NULL AND status NOT IN ('done', 'cancelled')
                """,
                instant,
                instant,
            )
        }

    def execute(self, statement: str, *arguments: object) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)

    def ask(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        return _ask(self._connection, statement, arguments)

    def ask_held(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        return _ask(self._held_connection, statement, arguments)

    def begin_held(self, now: datetime) -> None:
        """A transaction for which it stays now as long as it goes on."""
        _ask(self._held_connection, "SELECT set_config('test.begun_at', %s, true)", (now.isoformat(),))

    def end_held(self, *, commits: bool) -> None:
        if commits:
            self._held_connection.commit()
        else:
            self._held_connection.rollback()

    def next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def _tell_database(self, now: datetime) -> None:
        self.execute("UPDATE test_clock SET now = %s", now)

    def _make_people_and_projects(self) -> None:
        self.execute("INSERT INTO projects (key, name, includes_everyone) VALUES ('OPS', 'Operations', true)")
        self.project_ids: dict[str, int] = dict(self.ask("SELECT key, id FROM projects"))
        for name in ("admin", *USERS):
            self.execute("INSERT INTO users (username, password_hash, role) VALUES (%s, 'x', 'admin')", name)
        self.user_ids: dict[str | None, int | None] = {
            None: None,
            **dict(self.ask("SELECT username, id FROM users")),
        }
        admin_id, session_id = self.user_ids["admin"] or 0, UUID(int=0)
        self.execute(
            "INSERT INTO sessions (id, user_id, refresh_id, expires_at) VALUES (%s, %s, %s, 'infinity')",
            *(str(session_id), admin_id, str(session_id)),
        )
        self.actor = Actor(admin_id, "admin", Role.ADMIN, frozenset(), session_id)


def _connect(url: str) -> Connection:
    # No data outlives the server, so commits do not wait for the disk. A statement that waits for a lock fails early.
    return psycopg2.connect(url, options="-c timezone=UTC -c synchronous_commit=off -c lock_timeout=3s")


def _ask(connection: Connection, statement: str, arguments: tuple[object, ...]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments or None)
        return cursor.fetchall()
