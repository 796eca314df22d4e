"""Databases with tasks, history and logs in them, and a fingerprint to compare a restored one with."""

import os
import subprocess
from contextlib import closing, contextmanager
from uuid import uuid4

import psycopg2

from app.local.servers import PostgresServer
from app.local.system_user import ServerUser
from tests.servers import ROOT


def fingerprint(ask):
    """Count the rows of each table and sequence, with a checksum of them."""
    relations = ask(
        "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p', 'S')"
    )
    keys = dict(
        ask(
            "SELECT conrelid::regclass::text, string_agg(attname, ', ' ORDER BY ordinality)"
            " FROM pg_constraint, unnest(conkey) WITH ORDINALITY JOIN pg_attribute ON attnum = unnest"
            " WHERE contype = 'p' AND attrelid = conrelid GROUP BY conrelid"
        )
    )
    rows_and_checksums = {}
    for name, kind in relations:
        order, row = ("1", "(last_value, is_called)") if kind == "S" else (keys[name], "t")
        digest = f"md5(string_agg({row}::text, E'\\n' ORDER BY {order}))"
        ((rows, checksum),) = ask(f'SELECT count(*), {digest} FROM "{name}" AS t')
        rows_and_checksums[name] = (rows, checksum)
    return rows_and_checksums


def run(*arguments, cwd=ROOT, **environment):
    process = start(*arguments, cwd=cwd, **environment)
    output, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def start(*arguments, cwd=ROOT, **environment):
    """Start deploy/backup with no settings but the test's; a URL brings programs that fit the tests' server."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL") and name != "DATA_DIR"}
    path = os.environ.get("PATH", os.defpath)
    if "DATABASE_URL" in environment:
        path = f"{PostgresServer(ROOT, ServerUser()).programs}:{path}"
    return subprocess.Popen(
        [ROOT / "deploy" / "backup", *arguments],
        cwd=cwd,
        env=inherited | {"PATH": path} | {name: str(value) for name, value in environment.items()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


@contextmanager
def asking(url):
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def ask(statement):
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

        yield ask


@contextmanager
def empty_database(server_url):
    name = f"empty_{uuid4().hex[:12]}"
    with asking(server_url) as administer:
        administer(f"CREATE DATABASE {name}")
        yield server_url.replace("@/postgres", f"@/{name}")
        administer(f"DROP DATABASE {name} WITH (FORCE)")
