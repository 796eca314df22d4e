"""Disks of a few megabytes, in memory, that a test may fill. Only root can make one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class with the name of a variable

# More than a server keeps in files that it can use again.
MOST_LOG_MEBIBYTES = 800


@contextmanager
def mounted_memory(directory: Path, *, mebibytes: int) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path, *, leave_mebibytes: int = 0) -> Path:
    """Fill the disk until nothing more fits, or until this much is left."""
    path = directory / "filling"
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize > leave_mebibytes * 1024 * 1024:
            file.write(bytes(4096 if not leave_mebibytes else 1024 * 1024))
    return path


def use_up_log(connection: Connection) -> None:
    """Fill the log of a PostgreSQL on a full disk, as its superuser; the server ends when a log file has no room."""
    with suppress(psycopg2.Error), connection.cursor() as cursor:
        for _ in range(MOST_LOG_MEBIBYTES // 4):
            cursor.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 4 * 1024 * 1024))")
