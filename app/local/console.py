"""A program of PostgreSQL's, or anything that asks a database, run on the one of this tracker."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

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
    server = PostgresServer(launch.data_dir, server_user(launch.data_dir))
    signal.signal(signal.SIGTERM, _end)
    with _running(server, launch):
        # What this shell says of another server, a port or a password, say, is not for this one.
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        path = f"{server.programs}:{os.environ.get('PATH', os.defpath)}"
        program = command or ["psql"]
        # Ctrl-C is the program's; we stay to stop the server.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process = subprocess.Popen(
                program,
                env={**ours, **server.environment, "PATH": path},
                preexec_fn=_heed_interrupts,  # noqa: PLW1509 - one call
            )
        except OSError as error:
            raise StartError(f"{program[0]} cannot be run: {error.strerror}") from None
        try:
            return process.wait()
        finally:
            process.terminate()
            process.wait()


def _end(*_args: Any) -> NoReturn:
    """By way of what is to be stopped and cleared away."""
    raise SystemExit(128 + signal.SIGTERM)


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
