"""`make bench`: how fast is the tracker, compared in one run with the simplest code that does the same?

bench/README.md explains the table, the groups and the variables.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.groups import GROUPS, Group, choose_groups
from bench.machine import describe_machine
from bench.report import Report
from bench.rows import Row
from bench.sizes import read_sizes
from bench.stage import Stage
from tests import servers


def main() -> int:
    """Return the exit status: 0, 1 if a measurement failed, 2 for an unknown name."""
    try:
        names = choose_groups(os.environ.get("NAME", ""))
        sizes = read_sizes()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis_url = stack.enter_context(servers.valkey(directory / "valkey"))
        server_url = stack.enter_context(servers.postgres(directory / "postgres"))
        machine = describe_machine(server_url, redis_url)
        print(machine)
        report = Report(machine)
        stage = Stage(directory, server_url, redis_url, sizes, report, stack)
        for name in names:
            report.begin_group(name)
            report.measure(f"the group {name}", partial(_run, GROUPS[name], stage))
            path = report.write()
    print(f"\nThe results are in {path}.")
    if report.missed:
        print(f"{len(report.missed)} goals were missed.")
    return 1 if report.has_failures else 0


def _run(group: Group, stage: Stage) -> Sequence[Row]:
    """Run a group, which gives its rows to the report by itself."""
    group(stage)
    return ()


if __name__ == "__main__":
    sys.exit(main())
