"""`python main.py database`: runs psql, or any other program, on this tracker's bundled database."""

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
    """Return the exit status of the command.

    Its environment names the database, and its PATH begins with PostgreSQL's own programs.
    """
    if launch.database_url:
        raise StartError("DATABASE_URL names a server of your own: connect to that one")
    server = PostgresServer(launch.data_dir, server_user(launch.data_dir))
    signal.signal(signal.SIGTERM, _exit)
    with _running(server, launch):
        # A PGPORT or PGPASSWORD from this shell belongs to another server.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        path = f"{server.programs}:{os.environ.get('PATH', os.defpath)}"
        program = command or ["psql"]
        # Ctrl-C is for the program. We stay, to stop the server after it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process = subprocess.Popen(
                program,
                env={**inherited, **server.environment, "PATH": path},
                preexec_fn=_restore_interrupts,  # noqa: PLW1509 - one call
            )
        except OSError as error:
            raise StartError(f"{program[0]} cannot be run: {error.strerror}") from None
        try:
            return process.wait()
        finally:
            process.terminate()
            process.wait()


def _exit(*_args: Any) -> NoReturn:
    """Exit through the context managers, which stop the server and clean up."""
    raise SystemExit(128 + signal.SIGTERM)


def _restore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def _running(server: PostgresServer, launch: LaunchSettings) -> Iterator[None]:
    """Use the server of the running tracker; if none runs, start the server for the duration of the block."""
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
            # Ctrl-C is for the command; the server stops after it.
            process_group=0,
        )
        try:
            wait_until_ready(server, seconds=READY_SECONDS)
            server.make_database()
            yield
        finally:
            process.send_signal(server.stop_signal)
            process.wait(STOP_SECONDS)
