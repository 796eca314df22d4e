"""Describes the machine, so that results can be read later: its processor, its memory, its load, and the versions."""

import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg2
from redis import Redis

from app.settings import psycopg2_url

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Machine:
    commit: str
    cores: int
    memory_gib: float
    cpu: str
    load_before: tuple[float, float, float]
    python: str
    postgresql: str
    valkey: str
    is_quick: bool

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        loads = " ".join(f"{load:.2f}" for load in self.load_before)
        return (
            f"{self.cores} cores of {self.cpu}, {self.memory_gib:.1f} GiB, load before {loads}\n"
            f"commit {self.commit}, Python {self.python}, PostgreSQL {self.postgresql}, Valkey {self.valkey}"
        )


def describe_machine(database_url: str, redis_url: str) -> Machine:
    return Machine(
        commit=_commit(),
        cores=os.cpu_count() or 1,
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        cpu=_cpu_model(),
        load_before=os.getloadavg(),
        python=platform.python_version(),
        postgresql=_postgresql_version(database_url),
        valkey=_valkey_version(redis_url),
        is_quick=os.environ.get("BENCH_QUICK", "") not in {"", "0"},
    )


def _commit() -> str:
    """The short hash of the commit, with a mark if files were changed since."""
    arguments = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    described = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown"


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _postgresql_version(database_url: str) -> str:
    connection = psycopg2.connect(psycopg2_url(database_url).replace("+psycopg2", ""))
    try:
        return str(connection.get_parameter_status("server_version"))
    finally:
        connection.close()


def _valkey_version(redis_url: str) -> str:
    with Redis.from_url(redis_url) as client:
        server = client.info("server")
    return str(server.get("valkey_version") or server["redis_version"])
