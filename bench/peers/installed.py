"""Where peers are installed: each in a virtual environment of its own, never in the project's."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Outside the repository, so that nothing that looks through its files meets those of other programs.
ENVIRONMENTS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tasktrackerpro-bench"
# What runs inside a peer or its environment. It imports nothing of the tracker.
PROGRAMS = Path(__file__).resolve().parent / "programs"


class MissingPeerError(Exception):
    """The peer is not installed. The message says how to install it."""


def may_install() -> bool:
    return os.environ.get("BENCH_INSTALL_PEERS", "") not in {"", "0"}


def programs_of(name: str, packages: Sequence[str]) -> Path:
    """The directory of the peer's programs. Installs the packages from PyPI if BENCH_INSTALL_PEERS allows it.

    Raises MissingPeerError.
    """
    environment = ENVIRONMENTS / name
    # Written last, so that an interrupted installation is not taken for a complete one.
    stamp = environment / "installed"
    if not stamp.exists():
        if not may_install():
            raise MissingPeerError("not installed; BENCH_INSTALL_PEERS=1 installs it from PyPI")
        shutil.rmtree(environment, ignore_errors=True)
        _run([sys.executable, "-m", "venv", environment])
        _run([environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
        stamp.touch()
    return environment / "bin"


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise MissingPeerError(f"cannot be installed: {last[0]}")


def run_in_peer(command: Sequence[str | Path], *, cwd: Path, environment: dict[str, str]) -> str:
    """Run a command that prepares a peer. Return its output. Raises RuntimeError with its last lines."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = " | ".join(done.stderr.strip().splitlines()[-3:])
        raise RuntimeError(f"{Path(command[0]).name} failed: {last}")
    return done.stdout
