"""A program of PostgreSQL's, or anything that asks a database, run on the one of this tracker."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.local.data_dir import locked
from app.local.errors import StartError
from app.local.servers import PostgresServer, wait_until_ready
from app.local.system_user import server_user
from app.settings import LaunchSettings

READY_SECONDS = 30.0
STOP_SECONDS = 30.0


def run_on_database(launch: LaunchSettings, command: Sequence[str]) -> int:
    """Return its exit status. Its environment leads to the database, its PATH to PostgreSQL's own programs first."""
    if launch.database_url:
        raise StartError("DATABASE_URL names a server of your own: ask that one")
    server = PostgresServer(launch.data_dir, server_user())
    with _running(server, launch):
        environment = {
            **os.environ,
            **server.environment,
            "PATH": f"{server.programs}:{os.environ.get('PATH', os.defpath)}",
        }
        return subprocess.run(command or ["psql"], env=environment, check=False).returncode


@contextmanager
def _running(server: PostgresServer, launch: LaunchSettings) -> Iterator[None]:
    """The server of the tracker that runs; without one, started for as long as this takes."""
    if server.running_pid() is not None:
        yield
        return
    with locked(launch.data_dir):
        server.prepare()
        process = subprocess.Popen(
            server.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for the command: the server stops after it.
            process_group=0,
        )
        try:
            wait_until_ready(server, seconds=READY_SECONDS)
            server.make_database()
            yield
        finally:
            process.send_signal(server.stop_signal)
            process.wait(STOP_SECONDS)
