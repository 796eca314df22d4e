"""Group `peers`: ours over HTTP beside other programs that do the same work, with the same number of tasks.

Rate limits are off on all sides.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from bench.groups.http import PROCESSES
from bench.load import Sent
from bench.over_http import Target, compare_servers
from bench.peers.first_implementation import classic_targets, first_implementation
from bench.peers.helpdesk import helpdesk
from bench.peers.installed import MissingPeerError
from bench.peers.redmine import redmine
from bench.processes import Tracker, tracker
from bench.rows import Row, at_least
from bench.stage import Stage

CONNECTIONS = 16

CLASSIC_WORK = (
    ("cached", "GET /tasks?date=, cached", at_least(1.5)),
    ("uncached", "GET /tasks?date=, not in the cache", at_least(2)),
    ("create", "POST /task", at_least(1.5)),
)
WORK = (("list", "list page of 50"), ("one", "one task"), ("create", "create one task"))


@dataclass(frozen=True)
class Peer:
    """A slow peer gets one connection and a single round, as one answer takes seconds."""

    name: str
    serve: Callable[[Stage], AbstractContextManager[dict[str, Target]]]
    is_slow: bool = False


PEERS = (Peer("django-helpdesk", helpdesk, is_slow=True), Peer("Redmine", redmine))


def measure_peers(stage: Stage) -> None:
    with stage.database() as settings:
        with stage.workload(settings) as work:
            work.add_tasks("GEN", stage.sizes.peer_tasks)
            work.log_missing_days()
            day, task_id = work.last_logged_day(), work.any_task_id()
        with tracker(settings, stage.directory / "peers", api_processes=PROCESSES) as ours:
            _measure(stage, "the first implementation", partial(_first_implementation, stage, ours, day))
            for peer in PEERS:
                _measure(stage, peer.name, partial(_peer, stage, ours, peer, task_id))


def _measure(stage: Stage, name: str, rows: Callable[[], Iterator[Row]]) -> None:
    """Measure one peer, or skip it with the reason."""

    def unless_missing() -> Iterator[Row]:
        try:
            yield from rows()
        except MissingPeerError as error:
            stage.report.skip(name, str(error))

    stage.report.measure(name, unless_missing)


def _first_implementation(stage: Stage, ours: Tracker, day: str) -> Iterator[Row]:
    token = ours.headers["Authorization"].removeprefix("Bearer ")
    our_targets = classic_targets(ours.port, day, token, tasks=stage.sizes.peer_tasks)
    with first_implementation(stage, day) as targets:
        for key, what, goal in CLASSIC_WORK:
            yield compare_servers(
                what,
                "the first implementation",
                our_targets[key],
                targets[key],
                connections=CONNECTIONS,
                seconds=stage.sizes.http_seconds,
                rounds=stage.sizes.http_rounds,
                goal=goal,
            )


def _peer(stage: Stage, ours: Tracker, peer: Peer, task_id: int) -> Iterator[Row]:
    our_requests = {
        "list": Sent("GET", "/api/v1/tasks"),
        "one": Sent("GET", f"/api/v1/tasks/{task_id}"),
        "create": Sent("POST", "/api/v1/tasks", '{"title": "Measured", "description": "one of many"}'),
    }
    with peer.serve(stage) as targets:
        for key, what in WORK:
            yield compare_servers(
                what,
                peer.name,
                Target(ours.port, [our_requests[key]], ours.headers),
                targets[key],
                connections=1 if peer.is_slow else CONNECTIONS,
                seconds=stage.sizes.http_seconds,
                rounds=1 if peer.is_slow else stage.sizes.http_rounds,
                goal=None,
            )
