"""The floors: the simplest code that does the same as the tracker, with Flask, psycopg2, redis-py, COPY and INSERT."""

import io
import os
import time
from typing import Any

import orjson
from flask import Flask, Response, request
from redis import Redis

from app.auth.passwords import is_password
from app.settings import Settings
from bench.board_floors import LIST, Connections, add_board_floors, connect, rows_of

COMMENTS = """
    SELECT c.id, c.task_id, p.key || '-' || t.number, u.username, c.body, c.body_html,
           ARRAY(SELECT m.username FROM comment_mentions cm JOIN users m ON m.id = cm.user_id
                  WHERE cm.comment_id = c.id AND cm.version = c.version),
           c.created_at, c.edited_at, c.deleted_at, d.username, c.version
      FROM comments c JOIN tasks t ON t.id = c.task_id JOIN projects p ON p.id = t.project_id
      JOIN users u ON u.id = c.author_id LEFT JOIN users d ON d.id = c.deleted_by_id
     WHERE c.task_id = %s AND c.deleted_at IS NULL
     ORDER BY c.created_at, c.id LIMIT 51
"""
COMMENT_NAMES = (
    *("id", "task_id", "task", "author", "body", "body_html", "mentions", "created_at", "edited_at", "deleted_at"),
    *("deleted_by", "version"),
)
COLUMNS = "project_id, number, position, title, description, status, priority, creator_id"


def floor_app(database_url: str, redis_url: str, *, password_hash: str | None = None) -> Flask:
    """The floors of requests. Each view does the same reads and writes as ours, and nothing else."""
    app = Flask("floors")
    connections = Connections(database_url)
    redis = Redis.from_url(redis_url)
    first_page = rows_of(
        connections.current(), f"{LIST} WHERE t.deleted_at IS NULL ORDER BY t.updated_at DESC LIMIT 50"
    )
    redis.set("bench:page", orjson.dumps({"items": first_page}))

    @app.get("/ping")
    def ping() -> Response:
        return as_json({"message": "pong!"})

    @app.get("/cached")
    def cached() -> Response:
        page: Any = redis.get("bench:page")
        return Response(page, content_type="application/json")

    @app.get("/list")
    def listed() -> Response:
        where = "WHERE t.deleted_at IS NULL AND t.updated_at >= %s ORDER BY t.updated_at DESC, t.id DESC LIMIT 51"
        return as_json({"items": rows_of(connections.current(), f"{LIST} {where}", (request.args["updated_since"],))})

    @app.get("/tasks/<int:task_id>")
    def one(task_id: int) -> Response:
        return as_json(rows_of(connections.current(), f"{LIST} WHERE t.id = %s", (task_id,))[0])

    @app.post("/tasks")
    def create() -> Response:
        title = orjson.loads(request.get_data())["title"]
        connection = connections.current()
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

    @app.patch("/tasks/<int:task_id>")
    def change(task_id: int) -> Response:
        title = orjson.loads(request.get_data())["title"]
        connection = connections.current()
        with connection.cursor() as cursor:
            cursor.execute("SELECT title FROM tasks WHERE id = %s FOR UPDATE", (task_id,))
            cursor.fetchone()
            cursor.execute("UPDATE tasks SET title = %s WHERE id = %s", (title, task_id))
        connection.commit()
        return as_json({"id": task_id, "title": title})

    _add_comments(app, connections)

    @app.post("/login")
    def log_in() -> Response:
        return as_json({"is_right": is_password(orjson.loads(request.get_data())["password"], password_hash)})

    add_board_floors(app, connections)
    return app


def _add_comments(app: Flask, connections: "Connections") -> None:
    """The floors of comments."""

    @app.get("/tasks/<int:task_id>/comments")
    def comments(task_id: int) -> Response:
        return as_json({"items": rows_of(connections.current(), COMMENTS, (task_id,), COMMENT_NAMES)})

    @app.post("/tasks/<int:task_id>/comments")
    def comment(task_id: int) -> Response:
        body = orjson.loads(request.get_data())["body"]
        connection = connections.current()
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO comments (task_id, author_id, body, body_html) VALUES (%s, 1, %s, %s) RETURNING id",
                (task_id, body, body),
            )
            comment_id = cursor.fetchone()[0]
        connection.commit()
        return as_json({"id": comment_id, "body": body})


def served_floor() -> Flask:
    """The floors as an HTTP server runs them, with the servers that the environment names."""
    return floor_app(os.environ["DATABASE_URL"], os.environ["REDIS_URL"])


def bare_copy(settings: Settings, count: int) -> float:
    """COPY rows as long as those of the import into `tasks`, with its indexes and triggers. Return the seconds."""
    description = "from a file of many rows like this one, of the usual length"
    lines = "".join(
        f"1\t{n}\t{n}\tTask {n}\t{description}\ttodo\thigh\t1\t1\t2026-03-{n % 28 + 1}\n" for n in range(1, count + 1)
    )
    connection = connect(settings.database_url)
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
    connection = connect(settings.database_url)
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


def as_json(value: Any) -> Response:
    return Response(orjson.dumps(value), content_type="application/json")
