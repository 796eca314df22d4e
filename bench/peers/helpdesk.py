"""Serves django-helpdesk with as many tickets as ours has tasks.

Its API visits every ticket for each request that reads, so it is measured at one connection.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.load import Sent
from bench.over_http import Target, served
from bench.peers.databases import empty_database, execute
from bench.peers.installed import PROGRAMS, programs_of, run_in_peer
from bench.stage import Stage
from bench.workload import PASSWORD

PACKAGES = ("django-helpdesk", "psycopg2-binary", "gunicorn")
WORKERS = 4
SLOWEST_SECONDS = 300


@contextmanager
def helpdesk(stage: Stage) -> Iterator[dict[str, Target]]:
    """Yield its targets: `list`, `one` and `create`. Raises MissingPeerError."""
    programs = programs_of("helpdesk", PACKAGES)
    with empty_database(stage.server_url) as url:
        environment = {"DATABASE_URL": url, "PASSWORD": PASSWORD}
        output = run_in_peer([programs / "python", "helpdesk_project.py"], cwd=PROGRAMS, environment=environment)
        execute(
            url,
            "INSERT INTO helpdesk_ticket (title, created, modified, submitter_email, status, on_hold, description,"
            " priority, queue_id, secret_key)"
            " SELECT 'Task ' || n, now(), now(), 'admin@example.org', 1, false, 'one of many', 3, 1, md5(n::text)"
            f" FROM generate_series(1, {stage.sizes.peer_tasks}) n",
            "VACUUM ANALYZE",
        )
        command: list[str | Path] = [
            *(programs / "gunicorn", "--workers", str(WORKERS), "--timeout", str(SLOWEST_SECONDS)),
            *("--bind", "127.0.0.1:PORT", "helpdesk_project:application"),
        ]
        with served(command, cwd=PROGRAMS, environment=environment, log=stage.directory / "helpdesk.log") as port:
            headers = {"Authorization": f"Token {output.split()[-1]}"}
            ticket = {
                "queue": 1,
                "title": "Measured",
                "description": "one of many",
                "priority": 3,
                "submitter_email": "admin@example.org",
            }
            yield {
                "list": Target(port, [Sent("GET", "/api/tickets/?page_size=50")], headers),
                "one": Target(port, [Sent("GET", "/api/tickets/17/")], headers),
                "create": Target(port, [Sent("POST", "/api/tickets/", json.dumps(ticket))], headers),
            }
