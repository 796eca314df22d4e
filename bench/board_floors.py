"""The floors of the board, and what all floors are written with: connections, and tasks as rows."""

import threading
from typing import Any

import orjson
import psycopg2
from flask import Flask, Response, request

from app.models.tasks.fields import FIELD_NAMES
from app.queries.pages import MAX_TOTAL

# The columns are those of FIELD_NAMES, in the same order.
LIST = """
    SELECT t.id, p.key || '-' || t.number, p.key, t.title, t.description, t.status, t.priority, t.labels, c.username,
           a.username, t.start_on, t.due_at, t.estimate, t.recurrence, p.key || '-' || above.number, below.count,
           below.done, 100 * below.done / nullif(below.count, 0), t.external_ref, t.position, t.comment_count,
           t.created_at, t.updated_at, t.started_at, t.completed_at, t.deleted_at, t.version
      FROM tasks t JOIN projects p ON p.id = t.project_id JOIN users c ON c.id = t.creator_id
      LEFT JOIN users a ON a.id = t.assignee_id LEFT JOIN tasks above ON above.id = t.parent_id
     CROSS JOIN LATERAL (
           SELECT count(*), count(*) FILTER (WHERE s.status = 'done') FROM tasks s
            WHERE s.parent_id = t.id AND s.deleted_at IS NULL AND s.status <> 'cancelled') AS below (count, done)
"""


def add_board_floors(app: Flask, connections: "Connections") -> None:
    """Add the floors of the board, of a move and of changing many tasks at once."""

    def as_json(value: Any) -> Response:
        return Response(orjson.dumps(value), content_type="application/json")

    @app.get("/board")
    def board() -> Response:
        connection, since = connections.current(), request.args["updated_since"]
        where = "project_id = (SELECT id FROM projects WHERE key = 'SMALL') AND deleted_at IS NULL AND updated_at >= %s"
        with connection.cursor() as cursor:
            counting = f"SELECT status, least(count(*), {MAX_TOTAL + 1}) FROM tasks WHERE {where} GROUP BY status"
            cursor.execute(counting, (since,))
            counts = dict(cursor.fetchall())
        columns = {}
        for status, count in counts.items():
            page = f"{LIST} WHERE t.{where} AND t.status = %s ORDER BY t.position, t.id LIMIT 51"
            page = page.replace(" AND deleted_at", " AND t.deleted_at").replace(" AND updated_at", " AND t.updated_at")
            columns[status] = {"count": count, "items": rows_of(connection, page, (since, status))}
        return as_json(columns)

    @app.post("/tasks/<int:task_id>/move")
    def move(task_id: int) -> Response:
        after = orjson.loads(request.get_data())["after"]
        connection = connections.current()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(1, hashtext(project_id || ' ' || status)) FROM tasks WHERE id = %s",
                (task_id,),
            )
            cursor.execute("SELECT position FROM tasks WHERE id = %s FOR UPDATE", (task_id,))
            cursor.execute(
                "SELECT a.position, (SELECT min(b.position) FROM tasks b WHERE b.project_id = a.project_id"
                " AND b.status = a.status AND b.deleted_at IS NULL AND b.position > a.position)"
                " FROM tasks a WHERE a.id = %s",
                (after,),
            )
            above, below = cursor.fetchone()
            position = above + 1 if below is None else (above + below) / 2
            cursor.execute(
                "UPDATE tasks SET position = %s, version = version + 1, updated_at = now() WHERE id = %s",
                (position, task_id),
            )
        connection.commit()
        return as_json({"id": task_id, "position": position})

    @app.post("/tasks/bulk")
    def bulk() -> Response:
        items = orjson.loads(request.get_data())["items"]
        ids, titles = [item["task"] for item in items], [item["patch"]["title"] for item in items]
        connection = connections.current()
        with connection.cursor() as cursor:
            cursor.execute("SELECT id, version FROM tasks WHERE id = ANY (%s) ORDER BY id FOR UPDATE", (ids,))
            cursor.fetchall()
            cursor.execute(
                "UPDATE tasks SET title = new.title, version = version + 1, updated_at = now()"
                " FROM unnest(%s::bigint[], %s::text[]) AS new (id, title) WHERE tasks.id = new.id"
                " RETURNING tasks.id, version",
                (ids, titles),
            )
            versions = [{"id": task_id, "version": version} for task_id, version in cursor.fetchall()]
        connection.commit()
        return as_json({"items": versions})


class Connections:
    """One connection to PostgreSQL for each thread, opened on first use."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._local = threading.local()

    def current(self) -> Any:
        if not hasattr(self._local, "connection"):
            self._local.connection = connect(self._url)
        return self._local.connection


def connect(database_url: str) -> Any:
    """A connection without a statement timeout."""
    return psycopg2.connect(database_url.replace("postgresql+psycopg2://", "postgresql://"))


def rows_of(
    connection: Any, statement: str, arguments: tuple[Any, ...] = (), names: tuple[str, ...] = FIELD_NAMES
) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        rows = cursor.fetchall()
    connection.rollback()
    return [dict(zip(names, row, strict=True)) for row in rows]
