"""What the tracker is given to do: requests of an admin, files, a day to log."""

import statistics
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import orjson
from flask import Flask
from sqlalchemy import text
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.auth.actor import Actor
from app.auth.tokens import Grant
from app.composition import Parts, serving
from app.http.authentication import access_token_for
from app.models.user import Role


class Workload:
    def __init__(self, app: Flask, parts: Parts) -> None:
        self.app = app
        self._parts = parts
        with serving(parts) as services:
            services.users.create_first_admin(username="admin", email="admin@example.org", password="measured well")
            grant = services.authentication.log_in(login="admin", password="measured well", address="127.0.0.1")
        self._actor = Actor(grant.user_id, "admin", Role.ADMIN, frozenset({1}), grant.session_id)
        with app.test_request_context():
            self._token = access_token_for(Grant(grant.user_id, grant.session_id, uuid4(), grant.expires_at))

    def add_tasks(self, project: str, count: int) -> None:
        """In a project of their own, straight into the table."""
        self._execute(
            "INSERT INTO projects (key, name) VALUES (:key, 'Measured') ON CONFLICT (key) DO NOTHING", key=project
        )
        self._execute(
            "INSERT INTO tasks"
            " (project_id, number, position, title, description, status, priority, creator_id, updated_at)"
            " SELECT p.id, 1000000 + n, n, 'Task ' || n, 'one of many', 'todo', 'medium', 1,"
            " now() - n * interval '1 second' FROM projects p, generate_series(1, :count) n WHERE p.key = :key",
            count=count,
            key=project,
        )
        self._execute("VACUUM ANALYZE tasks")

    def any_task_id(self) -> int:
        with self._parts.engine.connect() as connection:
            return int(connection.execute(text("SELECT max(id) FROM tasks")).scalar_one())

    def count_active(self) -> int:
        with self._parts.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM tasks WHERE deleted_at IS NULL")).scalar_one())

    def get(self, app: Flask, path: str) -> Callable[[], None]:
        return self._request(app, "GET", path)

    def post(self, app: Flask, path: str, body: object) -> Callable[[], None]:
        return self._request(app, "POST", path, data=orjson.dumps(body), content_type="application/json")

    def log_today(self) -> float:
        with serving(self._parts) as services:
            services.task_logs.request_day(self._actor, None)
            started = time.perf_counter()
            services.task_logs.log_due_days()
            return time.perf_counter() - started

    def time_of_list(self, *, project: str | None) -> float:
        """Median seconds of the statement behind an uncached first page."""
        path = "/api/v1/tasks" + (f"?project={project}" if project else "")
        call = self.get(self.app, path)
        taken = []
        for _ in range(100):
            self._parts.cache.forget("tasks")
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
        with self._parts.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text(statement), values)
