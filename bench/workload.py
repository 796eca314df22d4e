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
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.composition.services import serving
from app.http.identity.bearer import bearer_tokens
from app.models.people.user import Role


class Workload:
    def __init__(self, app: Flask, resources: Resources) -> None:
        self.app = app
        self._resources = resources
        with serving(resources) as services:
            services.people.create_first_admin(username="admin", email="admin@example.org", password="measured well")
            grant = services.login.log_in(login="admin", password="measured well", address="127.0.0.1")
        self._actor = Actor(grant.user_id, "admin", Role.ADMIN, frozenset({1}), grant.session_id)
        with app.test_request_context():
            self._token = bearer_tokens().access_token(grant)

    def add_tasks(self, project: str, count: int, *, days_ago: int = 1) -> None:
        """Insert tasks into the project with SQL, as if they had existed for `days_ago` days."""
        self._execute(
            "INSERT INTO projects (key, name) VALUES (:key, 'Measured') ON CONFLICT (key) DO NOTHING", key=project
        )
        self._execute(
            "INSERT INTO tasks"
            " (project_id, number, position, title, description, status, priority, creator_id, updated_at, revised_at)"
            " SELECT p.id, 1000000 + n, n, 'Task ' || n, 'one of many', 'todo', 'medium', 1,"
            " now() - n * interval '1 second', now() - :days_ago * interval '1 day'"
            " FROM projects p, generate_series(1, :count) n WHERE p.key = :key",
            count=count,
            key=project,
            days_ago=days_ago,
        )
        self._execute("VACUUM ANALYZE tasks")
        self._execute("VACUUM ANALYZE task_history")

    def add_versions(self, count: int) -> None:
        """Give each task `count` older versions, at least 15 days apart."""
        columns = (
            "project_id, number, title, description, status, priority, labels, creator_id, assignee_id, due_at,"
            " external_ref, position, created_at, started_at, completed_at, deleted_at, version"
        )
        for number in range(count):
            self._execute(
                f"INSERT INTO task_history (task_id, revision, valid_from, valid_to, {columns})"
                " SELECT task_id, revision - 1, valid_from - interval '15 days' - task_id * interval '1 second',"
                f" valid_from, {columns} FROM task_history WHERE revision = :last",
                last=1 - number,
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

    def time_of_history(self) -> float:
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
            for number in range(1000):
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
        with self._resources.engine.connect() as connection:
            return int(connection.execute(text("SELECT max(id) FROM tasks")).scalar_one())

    def count_active(self) -> int:
        with self._resources.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM tasks WHERE deleted_at IS NULL")).scalar_one())

    def get(self, app: Flask, path: str) -> Callable[[], None]:
        return self._request(app, "GET", path)

    def post(self, app: Flask, path: str, body: object) -> Callable[[], None]:
        return self._request(app, "POST", path, data=orjson.dumps(body), content_type="application/json")

    def log_missing_days(self) -> tuple[int, float]:
        """Log all missing days. Return their number and the seconds that it took."""
        days = 0
        with serving(self._resources) as services:
            started = time.perf_counter()
            while logged := services.daily_log.log_due_days():
                days += len(logged)
            return days, time.perf_counter() - started

    def time_of_list(self, *, project: str | None = None, as_of: bool = False) -> float:
        """The median seconds for an uncached first page."""
        filters = {"project": project, "as_of": _month_ago() if as_of else None}
        call = self.get(self.app, "/api/v1/tasks?" + urlencode({k: v for k, v in filters.items() if v is not None}))
        taken = []
        for _ in range(100):
            self._resources.cache.forget("tasks")
            started = time.perf_counter()
            call()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)

    def _request(self, app: Flask, method: str, path: str, **options: Any) -> Callable[[], None]:
        headers = {"Authorization": f"Bearer {self._token}"}

        def call() -> None:
            path_only, _, query = path.partition("?")
            builder = EnvironBuilder(method=method, path=path_only, query_string=query, headers=headers, **options)
            chunks, status, _ = run_wsgi_app(app, builder.get_environ())
            b"".join(chunks)
            assert status.startswith("2"), status

        return call

    def _execute(self, statement: str, **values: Any) -> None:
        with self._resources.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text(statement), values)


def _month_ago() -> str:
    return (datetime.now(UTC) - timedelta(days=30)).isoformat()
