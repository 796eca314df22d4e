"""`python -m bench.profile NAME`: where does the CPU time of a request go, by our layers and by library?

NAME is a part of the group `requests`, such as `create`, or the path of a GET request.

The profiler counts a call of C code for the library that makes it, because C code has no file. It also slows down
small functions more than large ones, so the shares are estimates; the CPU time of a request is measured without it.
"""

import cProfile
import pstats
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench.groups.requests import REQUEST_NAMES, pairs_of
from bench.machine import ROOT, describe_machine
from bench.report import Report
from bench.sizes import read_sizes
from bench.stage import Stage
from bench.workload import Request, Workload
from tests import servers

WARM_UP_CALLS = 50
CALLS = 1_000
TASKS = 10_000
SMALLEST_SHARE = 0.005
SITE_PACKAGES = sysconfig.get_path("purelib")
STANDARD_LIBRARY = sysconfig.get_path("stdlib")
APP = str(ROOT / "app")
C_CODE = "~"

# A function as pstats names it: file, line, name.
Function = tuple[str, int, str]


def main() -> int:
    if len(sys.argv) != 2 or not (sys.argv[1].startswith("/") or sys.argv[1] in REQUEST_NAMES):
        print(f"usage: python -m bench.profile PATH|{'|'.join(REQUEST_NAMES)}", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis_url = stack.enter_context(servers.valkey(directory / "valkey"))
        server_url = stack.enter_context(servers.postgres(directory / "postgres"))
        report = Report(describe_machine(server_url, redis_url))
        stage = Stage(directory, server_url, redis_url, read_sizes(), report, stack)
        work = stack.enter_context(stage.workload())
        work.add_tasks("SMALL", TASKS)
        work.log_missing_days()
        profiled = _request(sys.argv[1], work)
        call = work.caller(work.app, profiled)
        for _ in range(WARM_UP_CALLS):
            call()
        began = time.process_time()
        for _ in range(CALLS):
            call()
        cpu_ms = (time.process_time() - began) / CALLS * 1000
        profiler = cProfile.Profile(time.process_time)
        profiler.enable()
        for _ in range(CALLS):
            call()
        profiler.disable()
    _print(f"{profiled.method} {profiled.path()}", cpu_ms, seconds_by_layer(pstats.Stats(profiler)))
    return 0


def _request(name: str, work: Workload) -> Request:
    if name.startswith("/"):
        return Request("GET", name)
    return next(pair.ours for pair in pairs_of(work) if pair.name == name)


def seconds_by_layer(stats: pstats.Stats) -> Counter[str]:
    """The own time of all functions, summed by layer. The time of C code goes to the layers that call it."""
    seconds: Counter[str] = Counter()
    for function, (_, _, own, _, callers) in stats.stats.items():  # type: ignore[attr-defined]
        if function[0] != C_CODE or not callers:
            seconds[layer_of(function)] += own
            continue
        for caller, (_, _, own_for_caller, _) in callers.items():
            seconds[_library_of_c_code(function) or layer_of(caller)] += own_for_caller
    return seconds


def layer_of(function: Function) -> str:
    """Name the layer: our folder, a library, or `python` for the standard library."""
    file = function[0]
    if file.startswith(f"{APP}/"):
        return f"app/{Path(file).relative_to(APP).parts[0].removesuffix('.py')}"
    if file.startswith(f"{SITE_PACKAGES}/"):
        return Path(file).relative_to(SITE_PACKAGES).parts[0].removesuffix(".py")
    if file.startswith(f"{ROOT}/bench"):
        return "bench itself"
    if file.startswith((STANDARD_LIBRARY, "<")) or file == C_CODE:
        return "python"
    return file


def _library_of_c_code(function: Function) -> str | None:
    """The library of a C function whose name shows it, such as a method of psycopg2's cursor."""
    return next((name for name in ("psycopg2", "orjson") if name in function[2]), None)


def _print(request: str, cpu_ms: float, seconds: Counter[str]) -> None:
    total = sum(seconds.values())
    print(f"{request}: {cpu_ms:.3f} ms of CPU, mean of {CALLS:,} calls\n")
    print("| layer | share | CPU ms |\n| --- | ---: | ---: |")
    for layer, own in seconds.most_common():
        share = own / total
        if share >= SMALLEST_SHARE:
            print(f"| {layer} | {share:.0%} | {share * cpu_ms:.3f} |")


if __name__ == "__main__":
    sys.exit(main())
