"""Keeps the processes of the tracker running: starts, restarts and stops them, and prefixes their output."""

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
# A process that ran this long had started well, so the pause before its next restart is short again.
SETTLED_SECONDS = 30.0
# A process that dies sooner than this never worked.
STARTING_SECONDS = 10.0
# A process that is stopped for longer than this counts as frozen.
STOPPED_SECONDS = 15.0
# A supervisor that is this late was stopped itself.
LATE_SECONDS = 3.0
NAME_WIDTH = 8

_libc = ctypes.CDLL(None, use_errno=True)


def _prefixed(name: str, line: str) -> str:
    return f"{name:<{NAME_WIDTH}} | {line}"


output = Output(
    STANDARD_OUTPUT,
    describe_dropped=lambda count: _prefixed(
        "tracker", f"{count} lines were dropped: nobody read them, or the disk was full"
    ),
)


def say(name: str, line: str) -> None:
    """Print a line without waiting. Never raises, even if the reader is gone."""
    output.write_line(_prefixed(name, line))


@dataclass
class SupervisedProcess:
    """A program that should be running. `command` is called at each start."""

    name: str
    command: Callable[[], Sequence[str]]
    stop_signal: signal.Signals = signal.SIGTERM
    # The complete environment of the process; None means ours.
    environment: Mapping[str, str] | None = None
    # A server may outlive a killed tracker, and the next one adopts it. The other processes may not.
    dies_with_us: bool = True
    # Text that the process prints once it works; None if its readiness is checked elsewhere.
    ready_text: str | None = None
    # Called when the process died right after its start. Returns what was repaired for the next start.
    repair: Callable[[], str | None] | None = None
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
        # While the supervisor is suspended, nobody reads. A server then drops its lines. Our own programs drop lines by
        # themselves, and Python cannot print to a non-blocking pipe.
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
                # In a group of its own: Ctrl-C reaches only the supervisor, which stops the processes in order.
                process_group=0,
                preexec_fn=_die_with_parent if self.dies_with_us else None,  # noqa: PLW1509 - one prctl call
            )
        finally:
            os.close(write_end)
            threading.Thread(target=self._relay, args=(lines,), daemon=True).start()

    def keep_running(self) -> None:
        """Restart the process if it died. The pause before a restart doubles with each early death."""
        if self.is_running():
            if self.dies_with_us and self._process is not None:
                self._end_if_stopped(self._process.pid)
            if time.monotonic() - self._started_at > SETTLED_SECONDS:
                self._backoff_seconds = FIRST_BACKOFF_SECONDS
            return
        if self._restart_at is None:
            say(self.name, f"{self._describe_end()}; restarting in {self._backoff_seconds:g} s")
            self._adopted_pid = None
            self._kill_group()
            self._repair()
            self._restart_at = time.monotonic() + self._backoff_seconds
            self._backoff_seconds = min(self._backoff_seconds * 2, MAX_BACKOFF_SECONDS)
        elif time.monotonic() >= self._restart_at:
            try:
                self.start()
            except OSError as error:
                # The machine is out of memory or processes, which passes.
                say(self.name, f"cannot be started: {error.strerror}")

    def _end_if_stopped(self, pid: int) -> None:
        """Kill a process that stays stopped: it would never end by itself. Servers are left to whoever stopped them."""
        now, looked_at, self._looked_at = time.monotonic(), self._looked_at, time.monotonic()
        if not _is_stopped(pid):
            self._stopped_since = None
        elif self._stopped_since is None or now - looked_at > LATE_SECONDS:
            # We were stopped ourselves: whoever continues us may continue the process too.
            self._stopped_since = now
        elif now - self._stopped_since > STOPPED_SECONDS:
            say(self.name, f"has been stopped for {STOPPED_SECONDS:g} s and is killed")
            self._stopped_since = None
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _repair(self) -> None:
        if self.repair is None or time.monotonic() - self._started_at > STARTING_SECONDS:
            return
        try:
            repair = self.repair()
        except OSError as error:
            repair = f"its files cannot be set aside: {error.strerror}"
        if repair is not None:
            say(self.name, repair)

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
        """Kill what is left of the process and its children."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            # Another process may have its id by the time we look again.
            self._process = None

    def _describe_end(self) -> str:
        if self._process is None or self._process.returncode is None:
            return "ended"
        code = self._process.returncode
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def _relay(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                say(self.name, line.rstrip("\n"))
                if self.ready_text is not None and self.ready_text in line:
                    self.is_ready.set()


def stop_all(processes: Sequence[SupervisedProcess], *, seconds: float) -> None:
    """Ask all processes to stop, wait, and kill those that did not."""
    for process in processes:
        process.ask_to_stop()
    deadline = time.monotonic() + seconds
    while any(process.is_running() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in processes:
        if process.is_running():
            say(process.name, f"did not stop within {seconds:g} s and is killed")
        process.kill()


def _die_with_parent() -> None:
    """Runs in the child, which then gets SIGTERM when the supervisor ends, even by SIGKILL."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _is_alive(pid: int) -> bool:
    """Read it from /proc, since an adopted process is not our child. A zombie has ended."""
    return _state(pid) not in {None, "Z"}


def _is_stopped(pid: int) -> bool:
    return _state(pid) in {"T", "t"}


def _state(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - one read, often
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return None
