"""Keeps the parts of the tracker running: starts them, restarts what dies, prefixes what they say, stops them."""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from app.output import STANDARD_OUTPUT, Output

ROOT = Path(__file__).resolve().parent.parent.parent
PR_SET_PDEATHSIG = 1
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
# A part that ran this long had started well: its next death is a new story.
SETTLED_SECONDS = 30.0
# One that dies sooner has not come to work.
STARTING_SECONDS = 10.0
# One that is stopped for longer is taken for frozen.
STOPPED_SECONDS = 15.0
# A supervisor that looks so late was stopped itself.
LATE_SECONDS = 3.0
NAME_WIDTH = 8

_libc = ctypes.CDLL(None, use_errno=True)


def _prefixed(name: str, line: str) -> str:
    return f"{name:<{NAME_WIDTH}} | {line}"


output = Output(
    STANDARD_OUTPUT,
    describe_dropped=lambda count: _prefixed(
        "tracker", f"{count} lines were dropped: nobody read them, or there was no room for them"
    ),
)


def say(name: str, line: str) -> None:
    """Never waits and never raises, whatever became of who reads it."""
    output.write_line(_prefixed(name, line))


@dataclass
class Part:
    """A program that should be running. `command` is asked anew at each start."""

    name: str
    command: Callable[[], Sequence[str]]
    stop_signal: signal.Signals = signal.SIGTERM
    # All that the part gets to see; None: what we see.
    environment: Mapping[str, str] | None = None
    # Servers may outlive a killed tracker, to be adopted; what serves people must not.
    dies_with_us: bool = True
    # A line that the part prints once it works; None when its readiness is asked for elsewhere.
    ready_words: str | None = None
    # Asked when it died as soon as it was started; says what was done so that the next start may work.
    mend: Callable[[], str | None] | None = None
    is_ready: threading.Event = field(default_factory=threading.Event)
    _process: subprocess.Popen[bytes] | None = None
    _adopted_pid: int | None = None
    _started_at: float = 0.0
    _restart_at: float | None = None
    _backoff_seconds: float = FIRST_BACKOFF_SECONDS
    _looked_at: float = 0.0
    _stopped_since: float | None = None

    def adopt(self, pid: int) -> None:
        self._adopted_pid = pid
        say(self.name, f"adopted process {pid}, which outlived its tracker")

    def start(self) -> None:
        self._restart_at = None
        self._started_at = time.monotonic()
        self.is_ready.clear()
        read_end, write_end = os.pipe()
        # While the supervisor is suspended nobody reads. A server drops its lines then; our own programs do so by
        # themselves, and Python is not made for such a pipe.
        os.set_blocking(write_end, self.dies_with_us)
        lines = open(read_end, errors="replace")  # noqa: PTH123, SIM115 - the thread that reads it closes it
        try:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=ROOT,
                # A group of its own: Ctrl-C reaches the supervisor alone, which stops the parts in order.
                process_group=0,
                preexec_fn=_die_with_parent if self.dies_with_us else None,  # noqa: PLW1509 - one prctl call
            )
        finally:
            os.close(write_end)
            threading.Thread(target=self._relay, args=(lines,), daemon=True).start()

    def keep_running(self) -> None:
        """Start again what has died, waiting longer after each death that follows soon."""
        if self.is_running():
            if self.dies_with_us and self._process is not None:
                self._end_if_stopped(self._process.pid)
            if time.monotonic() - self._started_at > SETTLED_SECONDS:
                self._backoff_seconds = FIRST_BACKOFF_SECONDS
            return
        if self._restart_at is None:
            say(self.name, f"{self._how_it_ended()}; starting again in {self._backoff_seconds:g} s")
            self._adopted_pid = None
            self._kill_group()
            self._mend()
            self._restart_at = time.monotonic() + self._backoff_seconds
            self._backoff_seconds = min(self._backoff_seconds * 2, MAX_BACKOFF_SECONDS)
        elif time.monotonic() >= self._restart_at:
            try:
                self.start()
            except OSError as error:
                # No memory or no process to be had: that passes.
                say(self.name, f"cannot be started: {error.strerror}")

    def _end_if_stopped(self, pid: int) -> None:
        """A stopped process does nothing and ends by nothing else. Servers are left to whoever stopped them."""
        now, looked_at, self._looked_at = time.monotonic(), self._looked_at, time.monotonic()
        if not _is_stopped(pid):
            self._stopped_since = None
        elif self._stopped_since is None or now - looked_at > LATE_SECONDS:
            # We were stopped ourselves: who continues us may continue it too.
            self._stopped_since = now
        elif now - self._stopped_since > STOPPED_SECONDS:
            say(self.name, f"has been stopped for {STOPPED_SECONDS:g} s and is killed")
            self._stopped_since = None
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _mend(self) -> None:
        if self.mend is None or time.monotonic() - self._started_at > STARTING_SECONDS:
            return
        try:
            done = self.mend()
        except OSError as error:
            done = f"its files cannot be set aside: {error.strerror}"
        if done is not None:
            say(self.name, done)

    def is_running(self) -> bool:
        if self._adopted_pid is not None:
            return _is_alive(self._adopted_pid)
        return self._process is not None and self._process.poll() is None

    def ask_to_stop(self) -> None:
        pid = self._adopted_pid or (self._process.pid if self._process else None)
        if pid is not None and self.is_running():
            with suppress(ProcessLookupError):
                os.kill(pid, self.stop_signal)

    def kill(self) -> None:
        if self._adopted_pid is not None and _is_alive(self._adopted_pid):
            with suppress(ProcessLookupError):
                os.kill(self._adopted_pid, signal.SIGKILL)
        self._kill_group()

    def _kill_group(self) -> None:
        """What is left of the part: its children, or all of it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            # Its number may be another process's by the time that we look again.
            self._process = None

    def _how_it_ended(self) -> str:
        if self._process is None or self._process.returncode is None:
            return "ended"
        code = self._process.returncode
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def _relay(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                say(self.name, line.rstrip("\n"))
                if self.ready_words is not None and self.ready_words in line:
                    self.is_ready.set()


def stop_all(parts: Sequence[Part], *, seconds: float) -> None:
    """Ask all of them to stop, wait, and kill what has not."""
    for part in parts:
        part.ask_to_stop()
    deadline = time.monotonic() + seconds
    while any(part.is_running() for part in parts) and time.monotonic() < deadline:
        time.sleep(0.05)
    for part in parts:
        if part.is_running():
            say(part.name, f"did not stop within {seconds:g} s and is killed")
        part.kill()


def _die_with_parent() -> None:
    """Runs in the child: get TERM when the supervisor is gone, even by SIGKILL."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _is_alive(pid: int) -> bool:
    """An adopted process is no child of ours, so its end is read from /proc; a zombie has ended."""
    return _state(pid) not in {None, "Z"}


def _is_stopped(pid: int) -> bool:
    return _state(pid) in {"T", "t"}


def _state(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - one read, often
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return None
