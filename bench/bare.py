"""The simplest code that does the same as the tracker: Flask views on psycopg2 and redis-py, COPY, INSERT … SELECT."""

import io
import time
from typing import Any

import orjson
import psycopg2
from flask import Flask, Response, request
from redis import Redis

from app.settings import Settings

LIST = """
    SELECT t.id, p.key || '-' || t.number, p.key, t.title, t.description, t.status, t.priority, t.labels, c.username,
           a.username, t.due_at, t.position, t.created_at, t.updated_at, t.started_at, t.completed_at,
           t.deleted_at, t.version
      FROM tasks t JOIN projects p ON p.id = t.project_id JOIN users c ON c.id = t.creator_id
      LEFT JOIN users a ON a.id = t.assignee_id
"""
NAMES = [
    "id",
    "ref",
    "project",
    "title",
    "description",
    "status",
    "priority",
    "labels",
    "creator",
    "assignee",
    "due_at",
    "position",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
    "deleted_at",
    "version",
]
COLUMNS = "project_id, number, position, title, description, status, priority, creator_id"


def bare_app(settings: Settings) -> Flask:
    app = Flask("bare")
    connection = _connect(settings)
    redis = Redis.from_url(settings.redis_url)
    redis.set("bench:page", orjson.dumps({"items": _rows(connection, f"{LIST} ORDER BY t.updated_at DESC LIMIT 50")}))

    def as_json(value: Any) -> Response:
        return Response(orjson.dumps(value), content_type="application/json")

    @app.get("/cached")
    def cached() -> Response:
        return Response(redis.get("bench:page"), content_type="application/json")

    @app.get("/list")
    def listed() -> Response:
        where = "WHERE t.deleted_at IS NULL ORDER BY t.updated_at DESC, t.id DESC LIMIT 51"
        return as_json({"items": _rows(connection, f"{LIST} {where}")})

    @app.get("/tasks/<int:task_id>")
    def one(task_id: int) -> Response:
        return as_json(_rows(connection, f"{LIST} WHERE t.id = %s", (task_id,))[0])

    @app.post("/tasks")
    def create() -> Response:
        title = orjson.loads(request.get_data())["title"]
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE projects SET last_task_number = last_task_number + 1 WHERE key = 'GEN'"
                " RETURNING id, last_task_number"
            )
            project_id, number = cursor.fetchone()
            cursor.execute(
                f"INSERT INTO tasks ({COLUMNS}) VALUES (%s, %s, %s, %s, '', 'todo', 'medium', 1) RETURNING id",
                (project_id, number, number, title),
            )
            task_id = cursor.fetchone()[0]
        connection.commit()
        return as_json({"id": task_id, "title": title})

    return app


def bare_copy(settings: Settings, count: int) -> float:
    """COPY rows as long as those of the import into `tasks`, with its indexes and triggers. Return the seconds."""
    description = "from a file of many rows like this one, of the usual length"
    lines = "".join(
        f"1\t{n}\t{n}\tTask {n}\t{description}\ttodo\thigh\t1\t1\t2026-03-{n % 28 + 1}\n" for n in range(1, count + 1)
    )
    connection = _connect(settings)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO users (username, role, is_active) VALUES ('admin', 'admin', false)")
        connection.commit()
        started = time.perf_counter()
        cursor.copy_expert(f"COPY tasks ({COLUMNS}, assignee_id, created_at) FROM STDIN", io.StringIO(lines))
        connection.commit()
        seconds = time.perf_counter() - started
    connection.close()
    return seconds


def bare_log(settings: Settings) -> float:
    """Copy every active task into an empty partition of task_logs with one INSERT … SELECT. Return the seconds."""
    connection = _connect(settings)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE task_logs_2001_01 PARTITION OF task_logs FOR VALUES FROM ('2001-01-01') TO ('2001-02-01')"
        )
        connection.commit()
        started = time.perf_counter()
        cursor.execute(
            "INSERT INTO task_logs"
            " (log_date, task_id, project_id, number, title, status, priority, assignee_id, due_at)"
            " SELECT '2001-01-01', id, project_id, number, title, status, priority, assignee_id, due_at FROM tasks"
            " WHERE deleted_at IS NULL AND status IN ('todo', 'in_progress', 'blocked')"
        )
        connection.commit()
        seconds = time.perf_counter() - started
        cursor.execute("DROP TABLE task_logs_2001_01")
    connection.commit()
    connection.close()
    return seconds


def _connect(settings: Settings) -> Any:
    return psycopg2.connect(settings.database_url.replace("postgresql+psycopg2://", "postgresql://"))


def _rows(connection: Any, statement: str, arguments: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        rows = cursor.fetchall()
    connection.rollback()
    return [dict(zip(NAMES, row, strict=True)) for row in rows]
