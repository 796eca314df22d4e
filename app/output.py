"""Writes lines to our output without blocking: while nobody reads them, lines are dropped and counted."""

import os
import queue
import select
import threading
from collections.abc import Callable
from multiprocessing.util import Finalize

STANDARD_OUTPUT = 1
# At most this many lines wait for a slow reader.
MAX_WAITING_LINES = 4096
BATCH_BYTES = 64 * 1024
LAST_LINES_SECONDS = 1.0


class Output:
    """Writes from its own thread, in order. A full or closed pipe or a full disk does not affect the caller.

    After a fork, the child's output is empty: the parent writes the lines that were waiting.
    """

    def __init__(self, file_descriptor: int, *, describe_dropped: Callable[[int], str]) -> None:
        self._file_descriptor = file_descriptor
        self._describe_dropped = describe_dropped
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        # SimpleQueue.put is reentrant, so a signal handler that interrupts a put may write a line too.
        self._waiting: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._writer: threading.Thread | None = None
        self._counting = threading.RLock()
        self._dropped = 0
        self._is_mid_line = False

    def write_line(self, line: str) -> None:
        """Never waits and never raises."""
        if self._waiting.qsize() >= MAX_WAITING_LINES:
            self._drop(1)
            return
        self._waiting.put(f"{line}\n".encode(errors="backslashreplace"))
        if self._writer is None:
            self._start()

    def flush(self, *, seconds: float = LAST_LINES_SECONDS) -> None:
        """Wait until the lines so far are written, but not for longer than `seconds`."""
        if self._writer is not None:
            is_written = threading.Event()
            self._waiting.put(is_written)
            is_written.wait(seconds)

    def _start(self) -> None:
        if self._starting.acquire(blocking=False) and self._writer is None:
            writer = threading.Thread(target=self._write_on, args=(self._waiting,), daemon=True, name="output")
            try:
                writer.start()
            except RuntimeError:
                # No thread can be started now, or the process is ending. A later line tries again.
                self._starting.release()
                return
            self._writer = writer
            # Runs when this process ends, also if multiprocessing started it.
            Finalize(None, self.flush, exitpriority=0)

    def _write_on(self, waiting: "queue.SimpleQueue[bytes | threading.Event]") -> None:
        while True:
            lines, marks = _take(waiting)
            dropped = self._dropped
            text = b"".join(lines)
            if dropped:
                text += f"{self._describe_dropped(dropped)}\n".encode()
            self._drop(-dropped if self._write(text) else len(lines))
            for mark in marks:
                mark.set()

    def _drop(self, count: int) -> None:
        with self._counting:
            self._dropped += count

    def _write(self, text: bytes) -> bool:
        if self._is_mid_line:
            text = b"\n" + text
        while text:
            try:
                written = os.write(self._file_descriptor, text)
            except BlockingIOError:
                # The pipe that we were given is non-blocking.
                select.select([], [self._file_descriptor], [])
                continue
            except OSError:
                return False
            self._is_mid_line = text[written - 1 : written] != b"\n"
            text = text[written:]
        return True


def _take(waiting: "queue.SimpleQueue[bytes | threading.Event]") -> tuple[list[bytes], list[threading.Event]]:
    """Take the waiting lines and marks: wait for the first one, then take up to a batch."""
    lines: list[bytes] = []
    marks: list[threading.Event] = []
    size = 0
    item = waiting.get()
    while True:
        if isinstance(item, bytes):
            lines.append(item)
            size += len(item)
        else:
            marks.append(item)
        if size >= BATCH_BYTES:
            return lines, marks
        try:
            item = waiting.get_nowait()
        except queue.Empty:
            return lines, marks
