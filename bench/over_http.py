"""Compares two servers over HTTP: each gets the same load in turns, from a load generator in a process of its own."""

import os
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import Load, Plan, Sent, generate
from bench.rows import Goal, Row, percentile
from tests.servers import free_port

START_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05
WARM_UP_SECONDS = 0.3
LAST_LINES = 15


@dataclass
class Target:
    """A server on this machine and the requests that it gets. `sent` counts them, so that each round goes on."""

    port: int
    requests: Sequence[Sent]
    headers: dict[str, str] = field(default_factory=dict)
    is_each_sent_once: bool = False
    sent: int = 0

    def load(self, connections: int, seconds: float) -> Load:
        load = generate(Plan(self.port, self.requests, connections, seconds, self.headers, self.sent))
        self.sent += len(load.latencies)
        if self.is_each_sent_once and self.sent > len(self.requests):
            raise RuntimeError(
                f"{len(self.requests):,} different requests were too few: later ones came from the cache"
            )
        return load


def compare_servers(
    what: str,
    against: str,
    ours: Target,
    theirs: Target,
    *,
    connections: int,
    seconds: float,
    rounds: int,
    goal: Goal | None,
) -> Row:
    """Compare the medians of successful requests a second. Raises RuntimeError if either side refused a request."""
    loads: tuple[list[Load], list[Load]] = ([], [])
    for target in (ours, theirs):
        target.load(connections, WARM_UP_SECONDS)
    for _ in range(rounds):
        for target, taken in zip((ours, theirs), loads, strict=True):
            taken.append(target.load(connections, seconds))
    for name, taken in zip(("ours", "theirs"), loads, strict=True):
        if any(load.refused for load in taken):
            raise RuntimeError(f"{name} refused requests; the statuses are {[load.statuses for load in taken]}")
    our_rate, their_rate = (statistics.median(load.rate for load in taken) for taken in loads)
    latencies = [[value * 1000 for load in taken for value in load.latencies] for taken in loads]
    details = {f"p{percent} ms": tuple(percentile(values, percent) for values in latencies) for percent in (50, 99)}
    what = f"{what}, {connections} connection{'s' * (connections > 1)}"
    return Row(what, against, our_rate, their_rate, "/s", our_rate / their_rate, goal, details)  # type: ignore[arg-type]


@contextmanager
def served(command: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """Run a server until the block ends. Yield its port, which replaces PORT in the command."""
    port = free_port()
    arguments = [str(part).replace("PORT", str(port)) for part in command]
    with log.open("w") as output:
        process = subprocess.Popen(
            arguments,
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        _wait_for_port(port, process, log)
        yield port
    finally:
        _end(process)


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended: {last}") from None
            if time.monotonic() > deadline:
                raise TimeoutError(f"{process.args!r} does not answer: {last}") from None
            time.sleep(POLL_SECONDS)
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
