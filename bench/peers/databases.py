"""Databases for peers, on the server that the tracker is measured with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from psycopg2 import sql
from sqlalchemy.engine import make_url

from bench.board_floors import connect


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    """Create an empty database, yield its postgresql:// URL, and drop the database at the end."""
    name = f"peer_{uuid4().hex[:12]}"
    server = connect(server_url)
    server.autocommit = True
    try:
        with server.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield _plain_url(server_url, name)
        finally:
            with server.cursor() as cursor:
                cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    finally:
        server.close()


def execute(database_url: str, *statements: str) -> Any:
    """Run the statements, each in its own transaction. Return the first column of the last one's first row, if any."""
    connection = connect(database_url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
    finally:
        connection.close()
    return row[0] if row else None


def _plain_url(server_url: str, database: str) -> str:
    url = make_url(server_url)
    host = url.query.get("host")
    if host is None:
        return url.set(drivername="postgresql", database=database).render_as_string(hide_password=False)
    return f"postgresql://{url.username}@/{database}?{urlencode({'host': str(host)})}"
