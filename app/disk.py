"""The space that is left on the disk with the data."""

import shutil
from dataclasses import dataclass
from pathlib import Path

MEBIBYTE = 1024 * 1024
# Enough for the largest upload, its rows and PostgreSQL's write-ahead log for them.
LOW_BYTES = 1024 * MEBIBYTE
# On a small disk a share of the disk counts instead.
LOW_SHARE = 0.05
# PostgreSQL allocates its write-ahead log in pieces of 16 MiB.
NEVER_ENOUGH_BYTES = 64 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Room:
    size_bytes: int
    free_bytes: int

    @property
    def is_low(self) -> bool:
        return self.free_bytes < max(NEVER_ENOUGH_BYTES, min(LOW_BYTES, self.size_bytes * LOW_SHARE))

    @property
    def free_mebibytes(self) -> int:
        return self.free_bytes // MEBIBYTE


def room_in(directory: Path) -> Room:
    """The space for ordinary users; file systems reserve some for root. Raises OSError."""
    usage = shutil.disk_usage(directory)
    return Room(usage.total, usage.free)
