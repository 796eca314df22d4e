"""The work that is measured: requests by an admin, imports, and the daily log."""

import io
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Flask
from sqlalchemy import text
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.auth.actor import Actor
from app.cache import Space
from app.composition.resources import Resources
from app.composition.services import serving
from app.http.identity.bearer import bearer_tokens
from app.models.people.user import Role
from bench.board_floors import connect

PASSWORD = "measured well"
BATCH_ROWS = 50_000
WARM_UP_CALLS = 10


class RefusedError(Exception):
    """A measured request was not answered with success."""


class Request:
    """A request that is sent again and again. A path or body that is a function gives each its own."""

    def __init__(self, method: str, path: str | Callable[[], str], body: object | Callable[[], object] = None) -> None:
        self.method = method
        self._path = path
        self._body = body

    def path(self) -> str:
        return self._path() if callable(self._path) else self._path

    def body(self) -> bytes | None:
        value = self._body() if callable(self._body) else self._body
        return None if value is None else orjson.dumps(value)


class Workload:
    def __init__(self, app: Flask, resources: Resources) -> None:
        self.app = app
        self.settings = resources.settings
        self._resources = resources
        # Rows are filled in batches that each commit, without the timeouts that requests and jobs have.
        self._connection = connect(resources.settings.database_url)
        self._connection.autocommit = True
        self._execute("SET statement_timeout = 0")
        with serving(resources) as services:
            services.people.create_first_admin(username="admin", email="admin@example.org", password=PASSWORD)
            grant = services.login.log_in(login="admin", password=PASSWORD, address="127.0.0.1")
        self._actor = Actor(grant.user_id, "admin", Role.ADMIN, frozenset({1}), grant.session_id)
        with app.test_request_context():
            self._token = bearer_tokens().access_token(grant)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    @property
    def password_hash(self) -> str:
        return str(self._scalar("SELECT password_hash FROM users WHERE username = 'admin'"))

    def add_tasks(self, project: str, count: int, *, days_ago: int = 1) -> None:
        """Insert tasks into the project with SQL, as if they had existed for `days_ago` days."""
        self._execute("INSERT INTO projects (key, name) VALUES (%s, 'Measured') ON CONFLICT (key) DO NOTHING", project)
        for first in range(1, count + 1, BATCH_ROWS):
            self._execute(
                "INSERT INTO tasks"
                " (project_id, number, position, title, description, status, priority, creator_id, updated_at,"
                " revised_at)"
                " SELECT p.id, 1000000 + n, n, 'Task ' || n, 'one of many', 'todo', 'medium', 1,"
                " now() - n * interval '1 second', now() - %s * interval '1 day'"
                " FROM projects p, generate_series(%s, %s) n WHERE p.key = %s",
                days_ago,
                first,
                min(count, first + BATCH_ROWS - 1),
                project,
            )
        self._execute("VACUUM ANALYZE tasks")
        self._execute("VACUUM ANALYZE task_history")

    def add_comments(self, task_id: int, count: int) -> None:
        """Insert comments on the task with SQL. Every tenth one mentions the admin."""
        self._execute(
            "INSERT INTO comments (task_id, author_id, body, body_html)"
            " SELECT %s, 1, 'Comment ' || n || ' of several words', '<p>Comment ' || n || ' of several words</p>'"
            " FROM generate_series(1, %s) n",
            task_id,
            count,
        )
        self._execute("INSERT INTO comment_mentions SELECT id, version, 1 FROM comments WHERE id % 10 = 0")
        self._execute("VACUUM ANALYZE comments")

    def add_versions(self, count: int) -> None:
        """Give each task `count` older versions, at least 15 days apart."""
        columns = (
            "project_id, number, title, description, status, priority, labels, creator_id, assignee_id, due_at,"
            " external_ref, position, created_at, started_at, completed_at, deleted_at, version"
        )
        last_id = int(self._scalar("SELECT max(id) FROM tasks"))
        for number in range(count):
            for first in range(0, last_id + 1, BATCH_ROWS):
                self._execute(
                    f"INSERT INTO task_history (task_id, revision, valid_from, valid_to, {columns})"
                    " SELECT task_id, revision - 1, valid_from - interval '15 days' - task_id * interval '1 second',"
                    f" valid_from, {columns} FROM task_history"
                    " WHERE revision = %s AND task_id >= %s AND task_id < %s",
                    1 - number,
                    first,
                    first + BATCH_ROWS,
                )
        self._execute("VACUUM ANALYZE task_history")

    @contextmanager
    def without_history(self) -> Iterator[None]:
        self._execute("ALTER TABLE tasks DISABLE TRIGGER USER")
        # The usual default reads a setting that a trigger makes, and the triggers are disabled.
        self._execute("ALTER TABLE tasks ALTER revised_at SET DEFAULT now()")
        yield
        self._execute("ALTER TABLE tasks ALTER revised_at SET DEFAULT recorded_instant()")
        self._execute("ALTER TABLE tasks ENABLE TRIGGER USER")

    def time_of_history(self, changes: int) -> float:
        """The median seconds that the triggers add to an UPDATE of one task and its commit.

        Updates with and without triggers take turns.
        """
        change = text("UPDATE tasks SET status = :status WHERE project_id = 1 AND number = :number")
        taken: dict[str, list[float]] = {"origin": [], "replica": []}
        with ExitStack() as stack:
            connections = {role: stack.enter_context(self._resources.engine.connect()) for role in taken}
            for role, connection in connections.items():
                # Ordinary triggers do not fire in sessions whose role is `replica`.
                connection.execute(text(f"SET session_replication_role = {role}"))
                connection.commit()
            for number in range(changes):
                for offset, (role, connection) in enumerate(connections.items()):
                    values = {
                        "status": ("blocked", "todo")[number % 2],
                        "number": 1000001 + number // 2 + 2000 * offset,
                    }
                    started = time.perf_counter()
                    connection.execute(change, values)
                    connection.commit()
                    taken[role].append(time.perf_counter() - started)
            for connection in connections.values():
                connection.invalidate()
        return statistics.median(taken["origin"]) - statistics.median(taken["replica"])

    def import_rows(self, count: int) -> float:
        """Import `count` rows. Return the seconds from the file's first byte to the last task."""
        rows = b"".join(b"Task %d,from a file of many rows,true,high\n" % number for number in range(count))
        file = io.BytesIO(b"task_name,description,status,priority\n" + rows)
        with serving(self._resources) as services:
            started = time.perf_counter()
            outcome = services.imports.import_csv(self._actor, file, filename="many.csv", wait_seconds=0)
            while not services.imports.get(self._actor, outcome.import_id).values["finished_at"]:
                services.import_runs.run_waiting()
            return time.perf_counter() - started

    def any_task_id(self) -> int:
        return int(self._scalar("SELECT min(id) + 17 FROM tasks"))

    def last_logged_day(self) -> str:
        return str(self._scalar("SELECT max(log_date) FROM task_logs"))

    def count_active(self) -> int:
        return int(self._scalar("SELECT count(*) FROM tasks WHERE deleted_at IS NULL"))

    def log_missing_days(self) -> tuple[int, float]:
        """Log all missing days. Return their number and the seconds that it took."""
        days = 0
        with serving(self._resources) as services:
            started = time.perf_counter()
            while logged := services.daily_log.log_due_days():
                days += len(logged)
            return days, time.perf_counter() - started

    def time_of_list(self, calls: int, *, project: str | None = None, as_of: bool = False) -> float:
        """The median seconds for an uncached first page."""
        filters = {"project": project, "as_of": _month_ago() if as_of else None}
        path = "/api/v1/tasks?" + urlencode({name: value for name, value in filters.items() if value is not None})
        return self._time_of(path, calls)

    def time_of_board(self, calls: int, *, project: str) -> float:
        """The median seconds for an uncached board, whose tasks are spread over the columns."""
        self._execute(
            "UPDATE tasks SET status = (enum_range(NULL::task_status))[1 + number %% 5]"
            " WHERE project_id = (SELECT id FROM projects WHERE key = %s) AND status = 'todo' AND number %% 5 > 0",
            project,
        )
        self._execute("VACUUM ANALYZE tasks")
        return self._time_of(f"/api/v1/board?project={project}", calls)

    def _time_of(self, path: str, calls: int) -> float:
        call = self.caller(self.app, Request("GET", path))
        taken = []
        for _ in range(WARM_UP_CALLS + calls):
            self._resources.cache.forget(Space.TASKS)
            started = time.perf_counter()
            call()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken[WARM_UP_CALLS:])

    def caller(self, app: Flask, request: Request) -> Callable[[], None]:
        """A function that sends the request to the WSGI app and reads its response. It raises if the app refuses."""
        headers = Headers(self.headers)

        def call() -> None:
            path, _, query = request.path().partition("?")
            body = request.body()
            options: dict[str, Any] = {} if body is None else {"data": body, "content_type": "application/json"}
            builder = EnvironBuilder(method=request.method, path=path, query_string=query, headers=headers, **options)
            chunks, status, _ = run_wsgi_app(app, builder.get_environ())
            text = b"".join(chunks)
            if not status.startswith("2"):
                raise RefusedError(f"{request.method} {path}: {status} {text[:500]!r}")

        return call

    def _execute(self, statement: str, *values: object) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)

    def _scalar(self, statement: str) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]


def _month_ago() -> str:
    return (datetime.now(UTC) - timedelta(days=30)).isoformat()
