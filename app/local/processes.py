"""How api, worker and beat start, both for `python main.py api | worker | beat` and under the supervisor."""

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

# When the api stops, running requests get this long to finish; longer ones are cut off.
LAST_REQUESTS_SECONDS = 15
# During a drain the signal is repeated this often, for processes that were still starting the last time.
DRAIN_REMINDER_SECONDS = 1.0
# Clients' connections to one api process.
MAX_CONNECTIONS = 2048
# A request's line and headers together; a longer head is answered 431.
MAX_HEAD_BYTES = 128 * 1024
# File descriptors for everything but clients: servers, files, logs.
OWN_DESCRIPTORS = 512
# The server's lines go through our own handler and formatter, like every other line.
SERVER_LOGGING = {"formatters": {}, "handlers": {}, "loggers": {"_granian": {"propagate": True}}}


def serve_api(settings: Settings, launch: LaunchSettings) -> None:
    """Serve until SIGTERM, which drains first, or SIGINT, which does not."""
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
        # Connections, including idle ones. Beyond this number the server accepts no more.
        backpressure=MAX_CONNECTIONS,
        backlog=MAX_CONNECTIONS,
        http1_settings=HTTP1Settings(max_buffer_size=MAX_HEAD_BYTES),
        respawn_failed_workers=True,
        workers_kill_timeout=LAST_REQUESTS_SECONDS,
        # Hides a warning that there are more threads than cores. Threads wait for PostgreSQL, not for a core.
        log_level=LogLevels.error,
        log_dictconfig=SERVER_LOGGING,
    )

    # A process that is still starting ignores SIGUSR1 and learns of the drain from a later one. Until it has handlers
    # of its own, SIGTERM must end it; the server's handlers, which it inherits from us, would not do that.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    os.register_at_fork(after_in_child=_restore_default_handlers)
    # At startup the server sets its own handlers first, and ours replace them.
    server.on_startup(lambda: _stop_by(server, settings.drain_seconds))
    server.serve()


def _allow_descriptors(count: int) -> None:
    """Raise the soft limit to `count`, or to the hard limit if that is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        limit = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _stop_by(server: AbstractServer[Any], drain_seconds: float) -> None:
    """SIGTERM drains and stops, SIGINT stops.

    The server's own handler takes a lock, so a second signal would wait for ever for the first. Our handlers only pass
    the signal to a thread, which may wait.
    """
    read_end, write_end = os.pipe()

    def stop() -> None:
        if os.read(read_end, 1)[0] == signal.SIGTERM and drain_seconds:
            ends_at = time.monotonic() + drain_seconds
            has_second_signal = False
            while not has_second_signal and (seconds_left := ends_at - time.monotonic()) > 0:
                _send_drain_signal()
                # A second signal ends the drain early.
                ready, _, _ = select.select([read_end], [], [], min(seconds_left, DRAIN_REMINDER_SECONDS))
                has_second_signal = bool(ready)
        server.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, lambda number, _frame: os.write(write_end, bytes([number])))
    threading.Thread(target=stop, daemon=True).start()


def _send_drain_signal() -> None:
    for process in multiprocessing.active_children():
        if process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGUSR1)


def _restore_default_handlers() -> None:
    for stop_signal in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop_signal, signal.SIG_DFL)


def worker_command(settings: Settings, launch: LaunchSettings) -> list[str]:
    own = ("worker", "--concurrency", str(launch.worker_processes), "--without-gossip", "--without-mingle")
    return [*_celery(), *own, "--loglevel", settings.log_level]


def beat_command(settings: Settings) -> list[str]:
    # The plain scheduler keeps no schedule file: if one were lost, nothing would be sent until somebody noticed.
    return [*_celery(), "beat", "--scheduler", "celery.beat:Scheduler", "--loglevel", settings.log_level]


def _celery() -> Sequence[str]:
    return (sys.executable, "-m", "celery", "--quiet", "-A", "celery_worker")
