"""How api, worker and beat are started: for `python main.py api | worker | beat`, and by the supervisor."""

import multiprocessing
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.common import AbstractServer

from app.heartbeat import Heartbeats
from app.http.admission import threads_for
from app.log_lines import init_logging
from app.settings import LaunchSettings, Settings

# What a request that runs when the api is told to stop gets to end in; longer ones are cut.
LAST_REQUESTS_SECONDS = 15
# During a drain the processes are told of it this often, for those that were still starting the last time.
DRAIN_REMINDER_SECONDS = 1.0
# Of clients, to one process of the api.
MAX_CONNECTIONS = 2048
# Of a request's line and headers; a longer head is answered 431.
MAX_HEAD_BYTES = 128 * 1024
# Descriptors beside those of clients: servers, files, logs.
OWN_DESCRIPTORS = 512
# Through our own handler and formatter, like every other line.
SERVER_LOGGING = {"formatters": {}, "handlers": {}, "loggers": {"_granian": {"propagate": True}}}


def serve_api(settings: Settings, launch: LaunchSettings) -> None:
    """Serve until SIGTERM, which drains, or SIGINT, which does not."""
    init_logging(settings.log_level)
    heartbeats = Heartbeats()
    heartbeats.watch()
    os.register_at_fork(after_in_child=heartbeats.beat)
    _allow_descriptors(MAX_CONNECTIONS + OWN_DESCRIPTORS)
    server = Granian(
        "main:app",
        address=launch.host,
        port=launch.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=launch.api_processes,
        blocking_threads=threads_for(settings.database_pool_size),
        # Connections, idle ones among them; past this number the server accepts no more.
        backpressure=MAX_CONNECTIONS,
        backlog=MAX_CONNECTIONS,
        http1_settings=HTTP1Settings(max_buffer_size=MAX_HEAD_BYTES),
        respawn_failed_workers=True,
        workers_kill_timeout=LAST_REQUESTS_SECONDS,
        # A warning at each start says that threads are more than cores; they wait for PostgreSQL, not for a core.
        log_level=LogLevels.error,
        log_dictconfig=SERVER_LOGGING,
    )

    # A process that is still starting ignores the signal and hears of the drain by a later one. It has no handlers of
    # its own yet, so being stopped must end it, which the server's handlers, inherited from us, would not do.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    os.register_at_fork(after_in_child=_stop_as_anybody_does)
    # The server has set its own handlers by then.
    server.on_startup(lambda: _stop_by(server, settings.drain_seconds))
    server.serve()


def _allow_descriptors(wanted: int) -> None:
    """As many as the system lets us have, where that is fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _stop_by(server: AbstractServer[Any], drain_seconds: float) -> None:
    """SIGTERM drains and stops, SIGINT stops.

    The server's own handler waits for a lock that a second signal finds taken by the first, for ever. So the handlers
    only pass the word on, to a thread that may wait.
    """
    heard, told = os.pipe()

    def stop() -> None:
        if os.read(heard, 1)[0] == signal.SIGTERM and drain_seconds:
            ends_at = time.monotonic() + drain_seconds
            has_second_signal = False
            while not has_second_signal and (seconds_left := ends_at - time.monotonic()) > 0:
                _tell_processes_to_drain()
                # A second signal hastens it.
                ready, _, _ = select.select([heard], [], [], min(seconds_left, DRAIN_REMINDER_SECONDS))
                has_second_signal = bool(ready)
        server.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, lambda number, _frame: os.write(told, bytes([number])))
    threading.Thread(target=stop, daemon=True).start()


def _tell_processes_to_drain() -> None:
    for process in multiprocessing.active_children():
        if process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGUSR1)


def _stop_as_anybody_does() -> None:
    for stop_signal in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop_signal, signal.SIG_DFL)


def worker_command(settings: Settings, launch: LaunchSettings) -> list[str]:
    own = ("worker", "--concurrency", str(launch.worker_processes), "--without-gossip", "--without-mingle")
    return [*_celery(), *own, "--loglevel", settings.log_level]


def beat_command(settings: Settings) -> list[str]:
    # The plain scheduler keeps no file: a lost one would send nothing until somebody noticed.
    return [*_celery(), "beat", "--scheduler", "celery.beat:Scheduler", "--loglevel", settings.log_level]


def _celery() -> Sequence[str]:
    return (sys.executable, "-m", "celery", "--quiet", "-A", "celery_worker")
