"""Heartbeats of forked processes: each says every second that it runs, and one that falls silent is killed.

A stopped process, or one whose threads all wait for one that holds the interpreter, dies of nothing by itself and
keeps what it has: its connections, and the clients that were sent to it.
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
# A watcher that was late by this much did not run itself, nor did anybody on a machine that slept.
LATE_SECONDS = 3.0
PID = struct.Struct("q")


class Heartbeats:
    """Made before the processes are forked, which inherit it."""

    def __init__(self, *, silent_seconds: float = SILENT_SECONDS) -> None:
        self._heard, self._said = os.pipe()
        # Nobody who beats waits for a watcher that is stopped.
        os.set_blocking(self._heard, False)
        os.set_blocking(self._said, False)
        self._silent_seconds = silent_seconds
        self._heard_at: dict[int, float] = {}

    def beat(self) -> None:
        """In the child, from now until it ends. It is watched from its first beat on, however long it took to start."""
        threading.Thread(target=self._beat_on, daemon=True, name="heartbeat").start()

    def watch(self) -> None:
        """In the parent, from now on."""
        threading.Thread(target=self._watch_on, daemon=True, name="heartbeats").start()

    def _beat_on(self) -> None:
        while True:
            with suppress(BlockingIOError):
                os.write(self._said, PID.pack(os.getpid()))
            time.sleep(BEAT_SECONDS)

    def _watch_on(self) -> None:
        looked_at = time.monotonic()
        while True:
            select.select([self._heard], [], [], BEAT_SECONDS)
            now = time.monotonic()
            self._listen(now)
            if now - looked_at > LATE_SECONDS:
                self._heard_at = dict.fromkeys(self._heard_at, now)
            looked_at = now
            self._end_silent(now)
            time.sleep(BEAT_SECONDS / 2)

    def _listen(self, now: float) -> None:
        with suppress(BlockingIOError):
            while beats := os.read(self._heard, PID.size * 512):
                for (pid,) in PID.iter_unpack(beats):
                    self._heard_at[pid] = now

    def _end_silent(self, now: float) -> None:
        for pid, heard_at in list(self._heard_at.items()):
            if now - heard_at < self._silent_seconds:
                continue
            del self._heard_at[pid]
            # One that has ended is silent too, and its number may be a stranger's by now.
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


# The heartbeats of this process's children where it watches some, and its own where it is a child.
_of_children: Heartbeats | None = None


def watch_children() -> None:
    """Before they are forked."""
    global _of_children  # noqa: PLW0603 - what is forked finds it here
    _of_children = Heartbeats()
    _of_children.watch()


def beat() -> None:
    """In a forked child; without a parent that watches, nothing happens."""
    if _of_children is not None:
        _of_children.beat()
