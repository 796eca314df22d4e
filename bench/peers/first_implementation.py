"""Serves the app in programs/classic.py with the rows that ours has: as many tasks, each logged on one day."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from app.settings import psycopg2_url
from bench.load import Sent
from bench.over_http import Target, served
from bench.peers.databases import empty_database, execute
from bench.peers.installed import PROGRAMS, programs_of, run_in_peer
from bench.stage import Stage
from bench.workload import PASSWORD

PACKAGES = ("flask", "flask-sqlalchemy", "flask-caching", "redis", "flask-jwt-extended", "psycopg2-binary", "gunicorn")
WORKERS = 4


@contextmanager
def first_implementation(stage: Stage, day: str) -> Iterator[dict[str, Target]]:
    """Yield its targets: `cached`, `uncached` and `create`. Raises MissingPeerError."""
    programs = programs_of("classic", PACKAGES)
    with empty_database(stage.server_url) as url:
        environment = {"DATABASE_URL": psycopg2_url(url), "REDIS_URL": stage.redis_url, "PASSWORD": PASSWORD}
        run_in_peer([programs / "python", "classic.py"], cwd=PROGRAMS, environment=environment)
        execute(
            url,
            "INSERT INTO task (task_name, description, status, priority, created_at)"
            " SELECT 'Task ' || n, 'one of many', true, 'medium', now()"
            f" FROM generate_series(1, {stage.sizes.peer_tasks}) n",
            f"INSERT INTO task_logger (task_id, date_logged, status) SELECT id, '{day}', true FROM task",
            "VACUUM ANALYZE",
        )
        command: list[str | Path] = [
            *(programs / "gunicorn", "--workers", str(WORKERS)),
            *("--bind", "127.0.0.1:PORT", "classic:app"),
        ]
        log = stage.directory / "classic.log"
        with served(command, cwd=PROGRAMS, environment=environment, log=log) as port:
            yield classic_targets(port, day, _token(port), tasks=stage.sizes.peer_tasks)


def classic_targets(port: int, day: str, token: str, *, tasks: int) -> dict[str, Target]:
    """The same requests for both implementations. Each uncached page is requested once, in the same mixed order."""
    headers = {"Authorization": f"Bearer {token}"}
    pages = [
        Sent("GET", f"/tasks?date={day}&page={page}&per_page={per_page}")
        for per_page in range(10, 100)
        for page in range(1, tasks // per_page + 1)
    ]
    random.Random(0).shuffle(pages)  # noqa: S311 - any order will do, as long as it is the same for both
    body = json.dumps({"task_name": "Measured", "description": "one of many", "priority": "medium"})
    return {
        "cached": Target(port, [Sent("GET", f"/tasks?date={day}")], headers),
        "uncached": Target(port, pages, headers, is_each_sent_once=True),
        "create": Target(port, [Sent("POST", "/task", body)], headers),
    }


def _token(port: int) -> str:
    connection = HTTPConnection("127.0.0.1", port)
    body = json.dumps({"username": "admin", "password": PASSWORD})
    connection.request("POST", "/login", body, {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return str(answer["token"])
