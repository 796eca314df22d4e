"""Disks of a few megabytes, in memory, that a test may fill. Root alone can make one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


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
    """Until nothing more fits, or until so much is left."""
    path = directory / "filling"
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize > leave_mebibytes * 1024 * 1024:
            file.write(bytes(4096 if not leave_mebibytes else 1024 * 1024))
    return path
