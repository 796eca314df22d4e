"""The groups that `make bench` can run, in this order. Each is a function that gives its rows to the stage's report."""

from collections.abc import Callable
from functools import partial

from bench.groups.history import measure_history
from bench.groups.http import measure_http
from bench.groups.imports import measure_imports
from bench.groups.log import measure_log
from bench.groups.overload import measure_overload
from bench.groups.peers import measure_peers
from bench.groups.permits import measure_permits
from bench.groups.requests import REQUEST_NAMES, measure_requests
from bench.groups.size import measure_size
from bench.groups.start import measure_start
from bench.stage import Stage

Group = Callable[[Stage], None]

ALL: dict[str, Group] = {
    "requests": measure_requests,
    "http": measure_http,
    "permits": measure_permits,
    "imports": measure_imports,
    "overload": measure_overload,
    "history": measure_history,
    "log": measure_log,
    "size": measure_size,
    "start": measure_start,
    "peers": measure_peers,
}
# One kind of request alone.
PARTS: dict[str, Group] = {name: partial(measure_requests, only=name) for name in REQUEST_NAMES}
GROUPS = {**ALL, **PARTS}


def choose_groups(names: str) -> list[str]:
    """The groups that the text names, separated by commas; all of them if it is empty. Raises ValueError."""
    chosen = [name.strip() for name in names.split(",") if name.strip()] or list(ALL)
    unknown = [name for name in chosen if name not in GROUPS]
    if unknown:
        raise ValueError(
            f"no group is named {', '.join(unknown)}; the groups are {', '.join(ALL)}, "
            f"and the parts of requests are {', '.join(PARTS)}"
        )
    return chosen
