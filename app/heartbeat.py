"""Heartbeats of forked processes: each reports every second that it runs, and one that falls silent is killed.

A stopped process never ends by itself, nor does one whose threads all wait for the interpreter lock. Until it is killed
it holds its connections, and its clients wait.
"""

import logging
import os
import select
import signal
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
SILENT_SECONDS = 15.0
# A watcher that is this late did not run itself, as on a machine that slept. The children did not run either.
LATE_SECONDS = 3.0
PID = struct.Struct("q")


class Heartbeats:
    """Made before the fork, so that parent and children share its pipe."""

    def __init__(self, *, silent_seconds: float = SILENT_SECONDS) -> None:
        self._read_end, self._write_end = os.pipe()
        # A child must not block while its watcher is stopped.
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self._silent_seconds = silent_seconds
        self._heard_at: dict[int, float] = {}

    def beat(self) -> None:
        """Call it in the child. The child is watched from its first beat until it ends."""
        threading.Thread(target=self._beat_on, daemon=True, name="heartbeat").start()

    def watch(self) -> None:
        """Call it in the parent."""
        threading.Thread(target=self._watch_on, daemon=True, name="heartbeats").start()

    def _beat_on(self) -> None:
        while True:
            with suppress(BlockingIOError):
                os.write(self._write_end, PID.pack(os.getpid()))
            time.sleep(BEAT_SECONDS)

    def _watch_on(self) -> None:
        looked_at = time.monotonic()
        while True:
            select.select([self._read_end], [], [], BEAT_SECONDS)
            now = time.monotonic()
            self._listen(now)
            if now - looked_at > LATE_SECONDS:
                self._heard_at = dict.fromkeys(self._heard_at, now)
            looked_at = now
            self._end_silent(now)
            time.sleep(BEAT_SECONDS / 2)

    def _listen(self, now: float) -> None:
        with suppress(BlockingIOError):
            while beats := os.read(self._read_end, PID.size * 512):
                for (pid,) in PID.iter_unpack(beats):
                    self._heard_at[pid] = now

    def _end_silent(self, now: float) -> None:
        for pid, heard_at in list(self._heard_at.items()):
            if now - heard_at < self._silent_seconds:
                continue
            del self._heard_at[pid]
            # A child that has ended is silent too, and another process may have its id by now.
            if _is_our_child(pid):
                logger.error("process %s has been silent for %.0f s and is killed", pid, now - heard_at)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _is_our_child(pid: int) -> bool:
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return state != "Z" and int(parent) == os.getpid()
