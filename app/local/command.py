"""`python main.py`: the whole tracker on one machine, from an empty directory to the ready block and the end."""

import argparse
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from http import HTTPStatus
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from app.local.console import run_on_database
from app.local.data_dir import locked, numbers_dir, read_or_make_secrets
from app.local.errors import StartError
from app.local.first_run import Admin, ensure_admin, migrate
from app.local.operator import make_new_password
from app.local.parts import LAST_REQUESTS_SECONDS, beat_command, serve_api, worker_command
from app.local.record import print_logs
from app.local.servers import PostgresServer, ValkeyServer, wait_until_ready
from app.local.supervisor import ROOT, Part, output, say, stop_all
from app.local.system_user import ServerUser, server_user
from app.settings import LaunchSettings, Settings, SettingsError, read_launch_settings, read_settings

READY_SECONDS = 60.0
SERVER_READY_SECONDS = 30.0
# An api gives its last requests their time before it ends.
STOP_APP_SECONDS = LAST_REQUESTS_SECONDS + 2.0
STOP_SERVERS_SECONDS = 6.0
# A tracker that was killed leaves an api that takes a moment to end.
PORT_SECONDS = 8.0
TICK_SECONDS = 0.2
# What a start does not wait for: room on the disk, for what is there can be read, and days that the worker has to log.
NOT_AWAITED = "exclude=disk&exclude=daily_log"
SINGLE_PARTS = {"api": "serve HTTP", "worker": "do what jobs there are", "beat": "ring for jobs when they are due"}


class Stopped(Exception):  # noqa: N818 - no error: somebody pressed Ctrl-C before the tracker was ready
    pass


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 0 after an orderly stop, 1 when it could not start, 2 for wrong settings."""
    options = _parser().parse_args(arguments)
    stopping = threading.Event()
    try:
        launch = read_launch_settings()
        if options.command != "run":
            return _run_alone(options, launch)
        for stop_signal in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(stop_signal, lambda *_: stopping.set())
        with locked(launch.data_dir), ExitStack() as running:
            _run(launch, running, stopping)
    except SettingsError as error:
        print(f"These settings are wrong:\n{error}", file=sys.stderr)
        return 2
    except StartError as error:
        did_not = "The tracker did not start: " if options.command == "run" else ""
        print(f"{did_not}{error}.", file=sys.stderr)
        return 1
    except Stopped:
        pass
    say("tracker", "stopped; the data is kept")
    return 0


def _run_alone(options: argparse.Namespace, launch: LaunchSettings) -> int:
    """Run a command that needs no running tracker, or that works beside one."""
    match options.command:
        case "prepare":
            print(f"The database is ready. Log in: {_login(_prepare(read_settings(), launch))}")
        case "password":
            print(f"The new password of {options.username}: {make_new_password(launch, options.username)}")
        case "logs":
            print_logs(launch, options.date, options.diff)
        case "database":
            return run_on_database(launch, options.program)
        case part:
            _become(part, launch)
    return 0


def _become(part: str, launch: LaunchSettings) -> None:
    """Go on as that part alone, on servers that the settings name."""
    settings = read_settings()
    if part == "api":
        serve_api(settings, launch)
        return
    command = worker_command(settings, launch) if part == "worker" else beat_command(settings)
    os.execv(command[0], command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="main.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="command")
    parser.set_defaults(command="run")
    commands.add_parser("run", help="run everything on this machine (default)")
    commands.add_parser("prepare", help="only bring the database of DATABASE_URL up to date, with an admin")
    for part, what in SINGLE_PARTS.items():
        commands.add_parser(part, help=f"only {what}, on the servers of DATABASE_URL, REDIS_URL, CELERY_BROKER_URL")
    password = commands.add_parser("password", help="make a new password for somebody who lost theirs")
    password.add_argument("username")
    database = commands.add_parser("database", help="open psql, or run a program, on the bundled database")
    database.add_argument("program", nargs=argparse.REMAINDER, help="finds DATABASE_URL and PostgreSQL's programs")
    logs = commands.add_parser("logs", help="print a day of the record")
    logs.add_argument("--date", type=_day, help="YYYY-MM-DD; the newest logged day where absent")
    logs.add_argument("--diff", type=_day, help="an earlier day: print what changed since")
    return parser


def _day(words: str) -> date:
    try:
        return date.fromisoformat(words)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{words} is not a day such as 2026-03-09") from None


def _run(launch: LaunchSettings, running: ExitStack, stopping: threading.Event) -> None:
    """Start in order, then keep everything running. `running` stops it in the opposite order, whatever happens here."""
    _wait_for_port(launch, stopping)
    if not launch.database_url:
        # What this shell says of another PostgreSQL, a port, say, would lead our drivers there.
        for name in [name for name in os.environ if name.startswith("PG")]:
            del os.environ[name]
    servers: list[Part] = []
    running.callback(stop_all, servers, seconds=STOP_SERVERS_SECONDS)
    try:
        os.environ.update(_start_servers(launch, servers))
    except OSError as error:
        raise StartError(f"{error.filename or launch.data_dir} cannot be used: {error.strerror}") from None
    settings = read_settings()
    _heed(stopping)
    unshown = launch.data_dir / "first-password"
    admin = _prepare(settings, launch, unshown=unshown)
    # Only the first run needs it; no part has any business with it.
    os.environ.pop("ADMIN_PASSWORD", None)
    apps = _app_parts(launch, settings, running)
    running.callback(stop_all, apps, seconds=STOP_APP_SECONDS)
    for part in apps:
        part.start()
    _wait_until_serving(launch, apps, stopping)
    output.write_line(_ready_block(launch, admin))
    unshown.unlink(missing_ok=True)
    while not stopping.wait(TICK_SECONDS):
        for part in (*servers, *apps):
            part.keep_running()
    say("tracker", "stopping")


def _heed(stopping: threading.Event) -> None:
    if stopping.is_set():
        raise Stopped


def _prepare(settings: Settings, launch: LaunchSettings, *, unshown: Path | None = None) -> Admin:
    migrate(settings)
    return ensure_admin(settings, launch, unshown=unshown)


def _start_servers(launch: LaunchSettings, parts: list[Part]) -> dict[str, str]:
    """Start or adopt the bundled servers that no setting replaces; return the environment that leads to them."""
    kept = read_or_make_secrets(launch.data_dir)
    environment = {"JWT_SECRET_KEY": launch.jwt_secret_key or kept.jwt_secret_key}
    needs_valkey = not launch.redis_url
    user = server_user(launch.data_dir) if needs_valkey or not launch.database_url else ServerUser()
    if not launch.database_url:
        postgres = PostgresServer(launch.data_dir, user)
        _start_or_adopt(postgres, parts)
        postgres.make_database()
        environment["DATABASE_URL"] = postgres.url
    if needs_valkey:
        valkey = ValkeyServer(launch.data_dir, user, kept.valkey_password)
        _start_or_adopt(valkey, parts)
        environment["REDIS_URL"] = valkey.url(0)
        environment["CELERY_BROKER_URL"] = launch.celery_broker_url or valkey.url(1)
    return environment


def _start_or_adopt(server: PostgresServer | ValkeyServer, parts: list[Part]) -> None:
    server.prepare()
    # A server needs nothing of our environment, which holds the tokens' key and passwords.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    part = Part(
        server.name,
        server.command,
        stop_signal=server.stop_signal,
        environment=environment,
        dies_with_us=False,
        mend=server.mend,
    )
    parts.append(part)
    pid = server.running_pid()
    if pid is not None:
        part.adopt(pid)
    else:
        part.start()
    # One that outlived a killed tracker may be on its way out: its place is free a moment later.
    wait_until_ready(server, seconds=SERVER_READY_SECONDS, meanwhile=part.keep_running)


def _app_parts(launch: LaunchSettings, settings: Settings, running: ExitStack) -> list[Part]:
    numbers = numbers_dir(launch.data_dir)
    running.callback(shutil.rmtree, numbers, ignore_errors=True)
    user = server_user(launch.data_dir)
    user.own(numbers)
    # Who stops the tracker waits for it, and no balancer stands before it that had to hear of it first.
    of_api = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(numbers), "DRAIN_SECONDS": "0"}
    if not launch.database_url:
        of_api.setdefault("WATCHED_DIR", str(launch.data_dir))

    def as_user(command: Sequence[str], port: int | None = None) -> list[str]:
        # Also where it is named through a link, in an environment of Python's.
        needs = [ROOT / "main.py", Path(sys.executable).absolute(), Path(sys.prefix) / "lib", numbers / "any"]
        return user.command(command, needs=needs, dies_with_parent=True, port=port)

    return [
        Part("api", lambda: as_user((sys.executable, "main.py", "api"), launch.port), environment=of_api),
        Part("worker", lambda: as_user(worker_command(settings, launch)), ready_words="worker is ready"),
        Part("beat", lambda: as_user(beat_command(settings)), ready_words="beat is ready"),
    ]


def _wait_for_port(launch: LaunchSettings, stopping: threading.Event) -> None:
    deadline = time.monotonic() + PORT_SECONDS
    family = socket.AF_INET6 if ":" in launch.host else socket.AF_INET
    while True:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((launch.host, launch.port))
            except OSError as error:
                problem = error.strerror
            else:
                return
        if time.monotonic() > deadline:
            raise StartError(
                f"{launch.host} port {launch.port} cannot be used ({problem}); set HOST or PORT to another"
            )
        stopping.wait(TICK_SECONDS)
        _heed(stopping)


def _wait_until_serving(launch: LaunchSettings, apps: Sequence[Part], stopping: threading.Event) -> None:
    api, *others = apps
    deadline = time.monotonic() + READY_SECONDS
    while not (_answers(launch) and all(part.is_ready.is_set() for part in others)):
        if time.monotonic() > deadline:
            raise StartError(f"the tracker did not get ready within {READY_SECONDS:.0f} s; the lines above say why")
        stopping.wait(TICK_SECONDS / 2)
        _heed(stopping)
        for part in (api, *others):
            part.keep_running()


def _answers(launch: LaunchSettings) -> bool:
    try:
        # Past any proxy that the environment names: this is our own machine.
        with build_opener(ProxyHandler({})).open(f"{_url(launch)}/readyz?{NOT_AWAITED}", timeout=2) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (URLError, OSError):
        return False


def _url(launch: LaunchSettings) -> str:
    """Where this machine reaches the api, also when it listens on every address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(launch.host, launch.host)  # noqa: S104
    return f"http://[{host}]:{launch.port}" if ":" in host else f"http://{host}:{launch.port}"


def _ready_block(launch: LaunchSettings, admin: Admin) -> str:
    url = _url(launch)
    lines = (
        "TaskTrackerPro is ready",
        "",
        f"  URL      {url}",
        f"  Docs     {url}/docs   (ReDoc: {url}/redoc)",
        f"  Log in   {_login(admin)}",
        f"  Data     {launch.data_dir}",
        "  Stop     Ctrl-C",
    )
    rule = "-" * max(map(len, lines))
    return "\n".join(("", rule, *lines, rule, ""))


def _login(admin: Admin) -> str:
    if admin.new_password is not None:
        return f"{admin.username} / {admin.new_password}   (made for you; shown this once)"
    if admin.is_new:
        return f"{admin.username}, with the password of ADMIN_PASSWORD"
    return "as before; the admins and their passwords are kept"
