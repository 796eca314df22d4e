"""A real api in processes of its own, as a host runs it, on a database of its own; and a client for it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from app.composition.resources import Resources
from app.composition.services import serving
from app.settings import Settings
from tests import servers
from tests.fakes import FakeJobQueue
from tests.servers import ROOT, free_port, wait_for

USERNAME = "admin"
PASSWORD = "a password of the tests"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Message
    body: bytes


class ApiProcess:
    """A supervising process with one serving child."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, database_url: str, log: Path) -> None:
        self.process = process
        self.port = port
        self.database_url = database_url
        self.log = log
        self.headers: dict[str, str] = {}

    def connect(self, timeout: float = 60) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request on a connection of its own."""
        content = {"Content-Type": "application/json"} if body is not None else {}
        with closing(self.connect()) as connection:
            connection.request(method, path, body, {**self.headers, **content, **headers})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def log_in(self, username: str = USERNAME) -> str:
        """Log in; every later request also sends the token."""
        credentials = {"username": username, "password": PASSWORD}
        token: str = json.loads(self.request("POST", "/login", json.dumps(credentials).encode()).body)["token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        return token

    def answers(self) -> bool:
        try:
            return self.request("GET", "/healthz").status == 200
        except OSError:
            return False

    def serving_pid(self) -> int:
        """Return the serving child, which is started last."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return max(int(pid) for pid in children.split())

    def resident_megabytes(self) -> float:
        status = Path(f"/proc/{self.serving_pid()}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def temporary_file(self) -> Path | None:
        """Find an open file without a name in the directory of the log; None while there is none."""
        for link in Path(f"/proc/{self.serving_pid()}/fd").iterdir():
            with suppress(OSError):
                if str(link.readlink()).startswith(f"{self.log.parent}/") and link.stat().st_nlink == 0:
                    return link
        return None


@contextmanager
def running_api(settings: Settings, directory: Path, **environment: str) -> Iterator[ApiProcess]:
    """Run an api with an admin, who is logged in."""
    resources = Resources(settings, job_queue=FakeJobQueue())
    with serving(resources) as services:
        services.people.create_first_admin(username=USERNAME, email="admin@example.org", password=PASSWORD)
    resources.engine.dispose()
    port = free_port()
    log = directory / "api.log"
    values: dict[str, Any] = {
        **os.environ,
        "PORT": str(port),
        "API_PROCESSES": "1",
        "DATABASE_URL": settings.database_url.replace("+psycopg2", ""),
        "REDIS_URL": settings.redis_url,
        "CELERY_BROKER_URL": settings.celery_broker_url,
        "JWT_SECRET_KEY": settings.jwt_secret_key,
        "RATE_LIMIT_ENABLED": "false",
        "SELF_REGISTRATION_ENABLED": "true",
        "LOG_LEVEL": "WARNING",
        "DRAIN_SECONDS": "0",
        **environment,
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "main.py", "api"], cwd=ROOT, env=values, stdout=output, stderr=output, process_group=0
        )
    api = ApiProcess(process, port, settings.database_url.replace("+psycopg2", ""), log)
    try:
        assert wait_for(api.answers, seconds=60), log.read_text()
        api.log_in()
        yield api
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)


@contextmanager
def running_api_on_new_database(
    base_settings: Settings, server_url: str, directory: Path, **environment: str
) -> Iterator[ApiProcess]:
    with (
        servers.migrated_database(server_url) as url,
        running_api(replace(base_settings, database_url=url), directory, **environment) as api,
    ):
        yield api
